#pragma once

#include "domain/desired.hpp"
#include "domain/next.hpp"

#include <map>
#include <string>
#include <vector>

// Plans and conditions as people and programs read them. Pure: text in, text out. Names that came from a remote are
// escaped.
namespace postern::cli {

// What happens to one object, however many steps it takes.
struct tally {
    int create = 0;
    int change = 0;
    int replace = 0;
    int delete_ = 0;
};
tally count(const std::vector<domain::step>& steps);

// The same for steps that come one by one, of which nothing else is kept.
class change_count {
public:
    void add(const domain::step& s);
    bool empty() const { return objects_.empty(); }
    tally sum() const;

private:
    struct touched {
        bool create = false;
        bool delete_ = false;
        bool replace = false;
    };
    std::map<std::string, touched> objects_; // by lock
};

// Terraform's grammar: the steps of each resource below its name, each with its mark, its target and why. Notes in
// Postern's own records are one line per resource.
std::string steps_text(const std::vector<domain::step>& steps, bool colour);
// "Plan: 3 to create, 1 to change, 0 to replace, 0 to delete."
std::string plan_summary(const tally& of);
// "Applied: 3 created, 1 changed, 0 replaced, 0 deleted."
std::string apply_summary(const tally& of);

// The lines that a person has to add to the organisation's own cadence table for credentials that are new.
std::string cadence_text(const std::vector<domain::step>& steps, const domain::desired& wanted);

// What needs a person, failed, waits, or is worth knowing; nothing about what is fine.
std::string conditions_text(const std::vector<domain::condition>& conditions, bool colour);

// A whole plan: its steps, what they add up to, the cadence table's new lines, the conditions, and
// what is scheduled.
std::string plan_text(const std::vector<domain::step>& steps, const std::vector<domain::condition>& conditions,
                      const domain::desired& wanted, bool colour);

// The one document of -o json, with a newline.
std::string document(const std::vector<domain::step>& steps, const std::vector<domain::condition>& conditions,
                     const domain::desired& wanted);

// "console-self-probe" of "ServiceToken/console-self-probe".
std::string short_name(const std::string& resource);

} // namespace postern::cli
