#include "bench/estate.hpp"
#include "domain/reason.hpp"
#include "model/rules.hpp"

#include <algorithm>

// What is told and counted of an estate, and whether all is as declared in the end.
namespace postern::bench {

using namespace std::chrono_literals;
using namespace domain;

void estate::tell(std::string_view what, std::string_view about, std::string_view more) {
    ++done_.events;
    digest_.put(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    digest_.put(what);
    digest_.put(about);
    digest_.put(more);
    if (log_ != nullptr)
        *log_ << format_instant(now_) << "  " << what << "  " << about << (more.empty() ? "" : "  -- ") << more << "\n";
}

void estate::tell_step(const step& s, std::string_view more) {
    auto target = s.target;
    if (const auto* r = std::get_if<steps::write_record>(&s.what)) {
        auto nonce = [](const auto& c) { return c ? c->nonce : std::string{"none"}; };
        target += " (" + s.reason + "): epoch " + std::to_string(r->value.epoch) + ", current " +
                  nonce(r->value.current) + ", pending " + nonce(r->value.pending) + ", previous " +
                  nonce(r->value.previous);
    }
    tell(s.resource + "  " + word(s), target, more);
}

void estate::count_step(const step& s) {
    if (std::holds_alternative<steps::prove>(s.what) || std::holds_alternative<steps::try_retired>(s.what))
        done_.knocks += 3; // a stranger's, and two in a row
    else if (std::holds_alternative<steps::write_record>(s.what) || std::holds_alternative<steps::mint>(s.what) ||
             std::holds_alternative<steps::rotate>(s.what))
        return;
    else if (std::holds_alternative<steps::deliver>(s.what))
        done_.reads += 3; // its variables, its releases, and what came of it
    else
        done_.reads += 1;
}

void estate::count_rotation(const step& s) {
    if (const auto* r = std::get_if<steps::write_record>(&s.what); r != nullptr && r->stage == "promote") {
        const auto& v = r->value;
        if (v.previous && v.current)
            ++done_.rotations[v.previous->token_id == v.current->token_id ? "InPlace" : "Replace"];
    }
    const auto* u = std::get_if<steps::update_token>(&s.what);
    if (u == nullptr || !u->duration || s.reason == reason::duration_changed)
        return;
    const auto& tokens = wanted_->tokens;
    auto spec =
        std::find_if(tokens.begin(), tokens.end(), [&](const auto& t) { return s.resource.ends_with("/" + t.name); });
    if (spec != tokens.end() && spec->how == strategy::renew)
        ++done_.rotations["Renew"];
}

// After two weeks without a fault all is as declared; what is in its overlap is left out.
void estate::check_rest() {
    model::setting in;
    in.wanted = *wanted_;
    auto& wanted = in.wanted;
    auto overlaps = [&](const std::string& name) {
        auto r = world_.records.find(name);
        return r != world_.records.end() && r->second.previous && r->second.previous_until;
    };
    std::erase_if(wanted.tokens, [&](const auto& t) { return overlaps(t.name); });
    std::erase_if(wanted.heroku_bindings, [&](const auto& b) { return overlaps(b.token); });
    for (auto& b : wanted.bindings)
        std::erase_if(b.tokens, overlaps);
    model::state s;
    s.now = now_;
    s.world = world_;
    if (auto why = model::lacks(in, s))
        first_ = trouble_found{format_instant(now_) + "  at the end " + *why + last_words_, {}, {}};
    for (const auto& t : world_.tokens) {
        const bool declared = std::any_of(wanted_->tokens.begin(), wanted_->tokens.end(),
                                          [&](const auto& spec) { return spec.name == t.spec; });
        if (!declared && !first_)
            first_ = trouble_found{format_instant(now_) + "  at the end token " + t.seen.id + " of " + t.spec +
                                       " is left, which no document declares" + last_words_,
                                   {},
                                   {}};
    }
}

} // namespace postern::bench
