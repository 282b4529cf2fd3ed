#include "domain/step.hpp"

#include "domain/reason.hpp"

namespace postern::domain {

namespace {

struct worder {
    std::string operator()(const steps::initialise&) const { return "initialise"; }
    std::string operator()(const steps::write_record& s) const { return s.stage; }
    std::string operator()(const steps::mint&) const { return "mint"; }
    std::string operator()(const steps::rotate&) const { return "rotate"; }
    std::string operator()(const steps::hold&) const { return "hold"; }
    std::string operator()(const steps::create_policy&) const { return "bind"; }
    std::string operator()(const steps::edit_policy& s) const {
        return s.make_non_identity ? "correct" : s.add.empty() ? "unbind" : "bind";
    }
    std::string operator()(const steps::delete_policy&) const { return "delete-policy"; }
    std::string operator()(const steps::prove&) const { return "prove"; }
    std::string operator()(const steps::try_retired&) const { return "try-retired"; }
    std::string operator()(const steps::write_credential&) const { return "promote"; }
    std::string operator()(const steps::update_token& s) const {
        if (s.enabled)
            return *s.enabled ? "enable" : "disable";
        return s.duration ? "renew" : s.previous_expires_at ? "cut-off" : "rename";
    }
    std::string operator()(const steps::delete_token&) const { return "delete-token"; }
    std::string operator()(const steps::look_token&) const { return "look"; }
    std::string operator()(const steps::look_releases&) const { return "look"; }
    std::string operator()(const steps::deliver& s) const { return s.fingerprint.empty() ? "withdraw" : "deliver"; }
    std::string operator()(const steps::await_release&) const { return "await-release"; }
    std::string operator()(const steps::delete_key&) const { return "delete-key"; }
};

struct marker {
    change operator()(const steps::initialise&) const { return change::create; }
    change operator()(const steps::write_record& s) const { return s.exists ? change::change : change::create; }
    change operator()(const steps::mint&) const { return change::create; }
    change operator()(const steps::rotate&) const { return change::replace; }
    change operator()(const steps::hold&) const { return change::create; }
    change operator()(const steps::create_policy&) const { return change::create; }
    change operator()(const steps::edit_policy&) const { return change::change; }
    change operator()(const steps::delete_policy&) const { return change::delete_; }
    change operator()(const steps::prove&) const { return change::look; }
    change operator()(const steps::try_retired&) const { return change::look; }
    change operator()(const steps::write_credential& s) const {
        return s.before.empty() ? change::create : change::change;
    }
    change operator()(const steps::update_token&) const { return change::change; }
    change operator()(const steps::delete_token&) const { return change::delete_; }
    change operator()(const steps::look_token&) const { return change::look; }
    change operator()(const steps::look_releases&) const { return change::look; }
    change operator()(const steps::deliver& s) const {
        return s.fingerprint.empty() ? change::delete_ : s.before.empty() ? change::create : change::change;
    }
    change operator()(const steps::await_release&) const { return change::look; }
    change operator()(const steps::delete_key&) const { return change::delete_; }
};

struct vault_finder {
    using found = std::optional<std::pair<std::string, std::string>>;

    found operator()(const steps::initialise& s) const { return found{{s.vault, s.path}}; }
    found operator()(const steps::write_record& s) const { return found{{s.vault, s.path}}; }
    found operator()(const steps::hold& s) const { return found{{s.vault, s.path}}; }
    found operator()(const steps::write_credential& s) const { return found{{s.vault, s.path}}; }
    found operator()(const steps::delete_key& s) const { return found{{s.vault, s.path}}; }
    template<class Other>
    found operator()(const Other&) const {
        return {};
    }
};

// What was there, and what is there once the step has come off.
struct fingerprinter {
    using both = std::pair<std::string, std::string>;
    const outcome& came;

    both operator()(const steps::mint&) const { return {{}, came.fingerprint}; }
    both operator()(const steps::rotate&) const { return {{}, came.fingerprint}; }
    both operator()(const steps::hold& s) const { return {{}, s.fingerprint}; }
    both operator()(const steps::write_credential& s) const { return {s.before, s.fingerprint}; }
    both operator()(const steps::deliver& s) const { return {s.before, s.fingerprint}; }
    both operator()(const steps::delete_key& s) const { return {s.fingerprint, {}}; }
    both operator()(const steps::create_policy&) const { return {{}, version()}; }
    both operator()(const steps::edit_policy& s) const { return {s.version, version()}; }
    both operator()(const steps::delete_policy& s) const { return {s.version, {}}; }
    template<class Other>
    both operator()(const Other&) const {
        return {};
    }

private:
    std::string version() const { return came.policy ? came.policy->version : std::string{}; }
};

} // namespace

std::pair<std::string, std::string> fingerprints(const step& s, const outcome& came) {
    auto out = std::visit(fingerprinter{came}, s.what);
    if (came.failure)
        out.second.clear();
    else if (came.awaiting_approval)
        out.second = out.first;
    return out;
}

std::optional<std::pair<std::string, std::string>> vault_folder_of(const step& s) {
    return std::visit(vault_finder{}, s.what);
}

std::string word(const step& s) {
    // The same write: of a credential that is new, or of one that has to be there instead of something else.
    const auto* written = std::get_if<steps::write_credential>(&s.what);
    if (written != nullptr && s.reason == reason::vault_drift && !written->before.empty())
        return "repair";
    return std::visit(worder{}, s.what);
}

change kind_of(const step& s) {
    return std::visit(marker{}, s.what);
}

bool writes(const step& s) {
    return kind_of(s) != change::look;
}

} // namespace postern::domain
