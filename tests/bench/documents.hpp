#pragma once

#include "bench/dice.hpp"
#include "domain/desired.hpp"
#include "model/world.hpp"

#include <set>
#include <string>

// The documents of an estate, and what an operator does to them over the years. Whatever is written here the loader
// would take: durations never contradict each other, and no overlap is shorter than consumers keep a value.
namespace postern::bench {

class documents {
public:
    documents(std::string estate, int tokens, dice& chance);

    const domain::desired& wanted() const { return wanted_; }
    // The world that the documents are about, before Postern has seen it.
    model::remotes empty_world() const;

    // One change; its kind in words. Apps that lose their variable lose it in the world too.
    std::string edit(model::remotes& world);
    // A token to rotate now.
    const std::string& any_token();
    // What the documents ask of every token is cut short to nothing.
    void drop_overlaps();

private:
    void add_token();
    void remove_token(std::size_t index);
    void set_rotation(domain::service_token& t);
    std::string site(std::size_t i) const { return estate_ + "-site-" + std::to_string(i); }
    std::string app(std::size_t i) const { return estate_ + "-app-" + std::to_string(i); }
    domain::access_binding& binding_of(const std::string& token);
    domain::heroku_binding* heroku_binding_of(const std::string& token);

    std::string estate_;
    dice& chance_;
    domain::desired wanted_;
    std::size_t sites_;
    std::size_t apps_;
    int made_ = 0;
    bool no_overlaps_ = false;
    std::set<std::string> left_; // "app/variable" that was bound once: never again
};

} // namespace postern::bench
