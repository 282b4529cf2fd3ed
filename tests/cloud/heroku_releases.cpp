// Releases: how a change of config vars becomes what an app runs with, at once or after its release phase.
#include "cloud/heroku.hpp"

#include <algorithm>

namespace postern::testcloud {

release& heroku::add_release(heroku_app& app, std::string description,
                             std::map<std::string, std::optional<std::string>> changes) {
    release made;
    made.id = ids_.uuid();
    made.version = app.releases.empty() ? 1 : app.releases.back().version + 1;
    made.description = std::move(description);
    made.user_email = account_email;
    made.changes = std::move(changes);
    made.created_at = made.updated_at = time_.now();
    app.updated_at = time_.now();
    const bool waits = app.phase.present || (!app.releases.empty() && app.releases.back().status == "pending");
    app.releases.push_back(std::move(made));
    auto& last = app.releases.back();
    if (!waits) {
        go_live(app, last);
        return last;
    }
    last.status = "pending";
    last.config = merged(app.config, last.changes);
    if (app.phase.stuck)
        return last;
    // One release phase at a time: later ones wait for their turn.
    instant begins = time_.now();
    for (const auto& earlier : app.releases)
        if (earlier.status == "pending")
            begins = std::max(begins, earlier.finishes_at);
    last.finishes_at = begins + app.phase.takes;
    time_.at(last.finishes_at, [this, id = app.id, version = last.version] { finish_release(id, version); });
    return last;
}

void heroku::finish_release(const std::string& app_id, std::int64_t version) {
    auto* app = find(app_id);
    if (app == nullptr)
        return;
    for (auto& made : app->releases) {
        if (made.version != version || made.status != "pending")
            continue;
        made.updated_at = time_.now();
        if (app->phase.fails)
            made.status = "failed";
        else
            go_live(*app, made);
    }
}

void heroku::go_live(heroku_app& app, release& made) {
    app.before_restart = app.config;
    app.before_restart_until = time_.now() + switches.restart_lag;
    app.config = merged(app.config, made.changes);
    made.config = app.config;
    made.status = "succeeded";
    app.released_at = time_.now();
    ++app.restarts;
}

std::optional<instant> heroku::next_restart_end(instant after) const {
    std::optional<instant> next;
    for (const auto& app : apps)
        if (app.before_restart_until > after && (!next || app.before_restart_until < *next))
            next = app.before_restart_until;
    return next;
}

reply heroku::release_routes(const request& r, heroku_app& app, std::span<const std::string> rest) {
    if (rest.empty() && r.reads()) {
        std::vector<json::object> items;
        for (const auto& made : app.releases)
            items.push_back(release_json(app, made));
        return ranged(r, std::move(items), "version");
    }
    if (rest.empty() && r.method == "POST") {
        const auto body = r.object();
        return body ? roll_back(app, *body)
                    : heroku_failure(400, "bad_request", "Unable to parse the JSON request body.");
    }
    const auto wanted = rest.empty() ? std::string{} : rest[0];
    const auto found = std::find_if(app.releases.begin(), app.releases.end(), [&](const auto& made) {
        return made.id == wanted || std::to_string(made.version) == wanted;
    });
    if (!r.reads() || found == app.releases.end())
        return heroku_failure(404, "not_found", "Couldn't find that release.");
    if (rest.size() == 1)
        return json_reply(200, release_json(app, *found));
    if (rest.size() == 2 && rest[1] == "config-vars")
        return json_reply(200, vars_json(app, found->config));
    return heroku_failure(404, "not_found", "The requested API endpoint was not found.");
}

reply heroku::roll_back(heroku_app& app, const json::object& body) {
    const auto wanted = text_at(body, "release").value_or("");
    const auto found = std::find_if(app.releases.begin(), app.releases.end(), [&](const auto& made) {
        return made.id == wanted || std::to_string(made.version) == wanted;
    });
    if (found == app.releases.end())
        return heroku_failure(404, "not_found", "Couldn't find that release.");
    if (found->status != "succeeded")
        return heroku_failure(422, "invalid_params", "That release is not eligible for rollback.");
    std::map<std::string, std::optional<std::string>> changes;
    for (const auto& [key, value] : app.config)
        changes[key] = std::nullopt;
    for (const auto& [key, value] : found->config)
        changes[key] = value;
    auto description = "Rollback to v" + std::to_string(found->version);
    const auto& made = add_release(app, std::move(description), std::move(changes));
    return json_reply(201, release_json(app, made));
}

json::object heroku::release_json(const heroku_app& app, const release& made) const {
    const auto live = std::find_if(app.releases.rbegin(), app.releases.rend(),
                                   [](const auto& one) { return one.status == "succeeded"; });
    const bool current = live != app.releases.rend() && live->version == made.version;
    json::object out{{"id", made.id},
                     {"version", made.version},
                     {"status", made.status},
                     {"current", current},
                     {"description", made.description}};
    out["user"] = json::object{{"id", account_id}, {"email", made.user_email}};
    out["app"] = json::object{{"id", app.id}, {"name", app.name}};
    out["slug"] = nullptr;
    out["artifacts"] = json::array{};
    out["addon_plan_names"] = json::array{};
    out["output_stream_url"] = nullptr;
    out["eligible_for_rollback"] = made.status == "succeeded";
    out["created_at"] = heroku_stamp(made.created_at);
    out["updated_at"] = heroku_stamp(made.updated_at);
    return out;
}

} // namespace postern::testcloud
