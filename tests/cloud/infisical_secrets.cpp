// Secrets: the part of infisical that stores something.
#include "base/text.hpp"
#include "cloud/infisical.hpp"

#include <algorithm>
#include <array>

namespace postern::testcloud {

namespace {

constexpr std::string_view placeholder = "<hidden-by-infisical>";

} // namespace

infisical::place infisical::find_place(const request& r, const json::object& body, bool v4,
                                       std::string_view operation) {
    place out;
    const auto slug = vault_parameter(r, body, v4 ? "projectSlug" : r.reads() ? "workspaceSlug" : "projectSlug");
    auto project_text = vault_parameter(r, body, v4 ? "projectId" : "workspaceId").value_or("");
    const auto env_slug = vault_parameter(r, body, "environment").value_or("");
    if (project_text.empty() && slug == project_slug)
        project_text = project_id;
    if (v4 && project_text.empty()) {
        out.refused = validation("projectId", "string", "undefined");
        return out;
    }
    if (project_text.empty() || env_slug.empty()) {
        const bool list = operation == "GetSecrets";
        out.refused =
            failure(400, "BadRequest",
                    list ? "Missing workspace id or environment" : "You must provide workspaceSlug or workspaceId");
        return out;
    }
    if (!known_project(project_text)) {
        out.refused = failure(404, "NotFound",
                              "Project with ID '" + project_text +
                                  "' not found during bot lookup. Are you sure you are using the "
                                  "correct project ID?");
        return out;
    }
    if (vault_parameter(r, body, "type") == "personal" && !r.reads()) {
        out.refused = failure(400, "BadRequest", "Must be user to create personal secret");
        return out;
    }
    out.path = vault_path(vault_parameter(r, body, "secretPath").value_or("/"));
    out.env = environment(env_slug);
    if (out.env != nullptr)
        if (const auto found = out.env->folders.find(out.path); found != out.env->folders.end())
            out.folder = &found->second;
    if (out.folder == nullptr && operation != "GetSecrets")
        out.refused =
            failure(404, operation,
                    "Folder with path '" + out.path + "' in environment with slug '" + env_slug + "' not found");
    return out;
}

reply infisical::secrets(const request& r, const caller& who, const json::object& body,
                         std::span<const std::string> rest, bool v4) {
    const bool batched = !rest.empty() && rest[0] == "batch" && r.segments.size() > 3;
    const std::string action = r.reads()             ? "read"
                               : r.method == "POST"  ? "create"
                               : r.method == "PATCH" ? "edit"
                                                     : "delete";
    if (r.reads()) {
        for (const auto* flag : {"expandSecretReferences", "include_imports", "recursive", "viewSecretValue"})
            if (const auto value = r.query_value(flag); value && *value != "true" && *value != "false")
                return not_a_boolean(flag, *value);
        if (const auto version = r.query_value("version");
            version && (version->empty() || version->find_first_not_of("0123456789") != std::string::npos))
            return validation("version", "number", "nan");
    }
    if (auto refused = forbid(who, action))
        return *refused;
    const bool list = r.reads() && rest.empty();
    const std::string operation = list                  ? "GetSecrets"
                                  : r.reads()           ? "GetSecretByName"
                                  : r.method == "POST"  ? "CreateSecret"
                                  : r.method == "PATCH" ? "UpdateSecret"
                                                        : "DeleteSecret";
    // Without a name a POST meets the old end-to-end-encrypted route, which asks for a ciphertext.
    if (rest.empty() && r.method == "POST" && !v4)
        return validation("secretKeyCiphertext", "string", "undefined");
    if ((rest.empty() && !r.reads()) || rest.size() > 2 || (rest.size() == 2 && !batched) || r.method == "PUT")
        return no_route(r);
    auto at = find_place(r, body, v4, operation);
    if (at.refused)
        return *at.refused;
    if (list)
        return list_secrets(r, at, v4);
    if (r.reads())
        return get_secret(r, at, rest[0]);
    if (batched)
        return batch(r, body, at);
    const auto& key = rest[0];
    if (r.method == "POST") {
        if (!text_at(body, "secretValue"))
            return validation("secretValue", "string", "undefined");
        if (!switches.old_server && key.find_first_of(":/") != std::string::npos)
            return validation("secretName", "string without ':' and '/'", "string");
        return create_secret(body, at, key);
    }
    if (r.method == "PATCH") {
        if (switches.old_server && !text_at(body, "secretValue"))
            return validation("secretValue", "string", "undefined");
        return update_secret(body, at, key);
    }
    return r.method == "DELETE" ? delete_secret(at, key) : no_route(r);
}

reply infisical::list_secrets(const request& r, place at, bool v4) {
    json::array found;
    const bool hidden = switches.hide_values || r.query_value("viewSecretValue") == "false";
    if (at.env != nullptr)
        for (const auto& [path, f] : at.env->folders) {
            const bool inside = path.starts_with(at.path == "/" ? "/" : at.path + "/");
            if (path != at.path && !(r.query_value("recursive") == "true" && inside))
                continue;
            for (const auto& [key, row] : f.secrets)
                found.push_back(secret_json(*at.env, path, row, true, hidden && !switches.old_server));
        }
    json::object body{{"secrets", found}};
    if (v4 || found.empty() || r.query_value("include_imports") == "true")
        body["imports"] = json::array{};
    return json_reply(200, body);
}

reply infisical::get_secret(const request& r, place at, const std::string& key) {
    const auto found = at.folder->secrets.find(key);
    if (found == at.folder->secrets.end())
        return failure(404, "NotFound", "Secret with name '" + key + "' not found");
    auto row = found->second;
    if (const auto version = r.query_value("version"); version && !switches.version_ignored && !switches.old_server) {
        const auto wanted = std::stoll(*version);
        const auto past = row.history.find(wanted);
        if (past == row.history.end())
            return failure(404, "NotFound", "Secret with name '" + key + "' not found");
        row.version = wanted;
        row.value = past->second;
    }
    const bool hidden = r.query_value("viewSecretValue") == "false";
    // Who may only describe secrets gets placeholders in a list, but no single one.
    if (switches.hide_values && !hidden && !switches.old_server)
        return failure(403, "PermissionDenied", "You are not allowed to readValue on secrets");
    json::object body;
    auto shown = secret_json(*at.env, at.path, row, true, hidden && !switches.old_server);
    if (switches.old_server)
        shown.erase("secretPath");
    body["secret"] = std::move(shown);
    return json_reply(200, body);
}

reply infisical::create_secret(const json::object& body, place at, const std::string& key) {
    const auto [from, to] = at.folder->secrets.equal_range(key);
    const bool seen = std::any_of(from, to, [&](const auto& row) {
        return switches.create_gap == duration{} || row.second.created_at + switches.create_gap < time_.now();
    });
    if (seen && !switches.race_creates)
        return failure(400, "BadRequest", switches.old_server ? "Secret already exist" : "Secret already exists");
    if (needs_approval(at.path))
        return approval();
    auto& row = put(*at.folder, key, *text_at(body, "secretValue"), true);
    row.comment = text_at(body, "secretComment").value_or("");
    row.skip_multiline = flag_at(body, "skipMultilineEncoding").value_or(false);
    if (const auto* metadata = array_at(body, "secretMetadata"); metadata != nullptr && !switches.old_server)
        row.metadata = *metadata;
    json::object out;
    out["secret"] = secret_json(*at.env, at.path, row, false, false);
    return json_reply(200, out);
}

// Of duplicate rows it changes the last while reads show the first: an update that seems lost.
reply infisical::update_secret(const json::object& body, place at, const std::string& key) {
    auto [from, to] = at.folder->secrets.equal_range(key);
    if (from == to)
        return failure(404, "NotFound", "Secret with name " + key + " not found");
    const auto new_name = text_at(body, "newSecretName");
    if (new_name && *new_name != key && at.folder->secrets.contains(*new_name))
        return failure(400, "BadRequest", "Secret with the new name already exist");
    if (const auto* tags = array_at(body, "tagIds"); tags != nullptr && !tags->empty())
        return failure(404, "NotFound", "One or more tags not found");
    if (needs_approval(at.path))
        return approval();
    auto last = std::prev(to);
    auto& row = last->second;
    if (const auto value = text_at(body, "secretValue"))
        row.value = stored_value(*value);
    ++row.version;
    row.history[row.version] = row.value;
    row.updated_at = time_.now();
    if (const auto comment = text_at(body, "secretComment"))
        row.comment = *comment;
    if (const auto* metadata = array_at(body, "secretMetadata"); metadata != nullptr && !switches.old_server)
        row.metadata = *metadata;
    if (new_name && *new_name != key) {
        auto node = at.folder->secrets.extract(last);
        node.key() = *new_name;
        node.mapped().key = *new_name;
        last = at.folder->secrets.insert(std::move(node));
    }
    json::object out;
    auto shown = secret_json(*at.env, at.path, last->second, false, false);
    if (!text_at(body, "secretComment"))
        shown["secretComment"] = ""; // the comment is kept, but the reply says only what was sent
    out["secret"] = std::move(shown);
    return json_reply(200, out);
}

reply infisical::delete_secret(place at, const std::string& key) {
    const auto found = at.folder->secrets.find(key);
    if (found == at.folder->secrets.end())
        return switches.old_server ? failure(404, "DeleteSecret", "Secret with name '" + key + "' not found")
                                   : failure(404, "NotFound", "Secret not found");
    if (needs_approval(at.path))
        return approval();
    json::object out;
    out["secret"] = secret_json(*at.env, at.path, found->second, false, false);
    at.folder->secrets.erase(key);
    return json_reply(200, out);
}

// All or nothing. PATCH takes "mode": failOnNotFound (the default), upsert or ignore.
reply infisical::batch(const request& r, const json::object& body, place at) {
    const auto* items = array_at(body, "secrets");
    if (items == nullptr)
        return validation("secrets", "array", "undefined");
    const auto mode = text_at(body, "mode").value_or("failOnNotFound");
    const auto before = at.folder->secrets;
    std::string first_key;
    json::array done;
    for (const auto& item : *items) {
        const auto* fields = item.if_object();
        const auto key = fields == nullptr ? std::nullopt : text_at(*fields, "secretKey");
        if (!key)
            return validation("secretKey", "string", "undefined");
        if (first_key.empty())
            first_key = *key;
        const bool exists = at.folder->secrets.contains(*key);
        if (r.method == "PATCH" && !exists && mode == "ignore" && !switches.old_server)
            continue;
        const bool creating = r.method == "POST" || (r.method == "PATCH" && !exists && mode == "upsert");
        reply one;
        if (creating && exists)
            one = failure(400, "BadRequest", "Secret already exist: " + *key);
        else if (!creating && !exists)
            // The name in the message is the batch's first, whichever is missing.
            one = failure(404, "NotFound", "Secret does not exist: " + first_key);
        else if (creating)
            one = text_at(*fields, "secretValue") ? create_secret(*fields, at, *key)
                                                  : validation("secretValue", "string", "undefined");
        else
            one = r.method == "PATCH" ? update_secret(*fields, at, *key) : delete_secret(at, *key);
        const auto answer = one.parsed();
        const auto* stored = answer.is_object() ? object_at(answer.get_object(), "secret") : nullptr;
        if (stored == nullptr) {
            at.folder->secrets = before;
            return one;
        }
        done.push_back(*stored);
    }
    return json_reply(200, json::object{{"secrets", done}});
}

json::object infisical::secret_json(const vault_environment& env, const std::string& path, const secret_row& row,
                                    bool listed, bool hidden) const {
    json::object out{{"id", row.id},
                     {"_id", row.id},
                     {"workspace", project_id},
                     {"environment", env.slug},
                     {"version", row.version},
                     {"type", "shared"},
                     {"secretKey", row.key},
                     {"secretValue", hidden ? std::string{placeholder} : row.value},
                     {"secretComment", row.comment},
                     {"secretReminderNote", nullptr},
                     {"secretReminderRepeatDays", nullptr},
                     {"skipMultilineEncoding", row.skip_multiline},
                     {"metadata", nullptr},
                     {"createdAt", vault_stamp(row.created_at)},
                     {"updatedAt", vault_stamp(row.updated_at)}};
    if (listed) {
        out["secretPath"] = path;
        out["tags"] = json::array{};
    }
    if (!switches.old_server) {
        out["secretValueHidden"] = hidden;
        out["isRotatedSecret"] = false;
        out["rotationId"] = nullptr;
        out["secretMetadata"] = row.metadata.is_array() ? row.metadata : json::value(json::array{});
    }
    return out;
}

bool infisical::needs_approval(const std::string& path) const {
    return std::any_of(switches.approval_paths.begin(), switches.approval_paths.end(), [&](const auto& under) {
        return path == under || path.starts_with(under == "/" ? "/" : under + "/");
    });
}

reply infisical::approval() {
    const auto at = vault_stamp(time_.now());
    json::object request_body{{"id", ids_.uuid()},
                              {"policyId", ids_.uuid()},
                              {"status", "open"},
                              {"hasMerged", false},
                              {"conflicts", nullptr},
                              {"slug", ids_.hex(6)},
                              {"folderId", ids_.uuid()},
                              {"isReplicated", nullptr},
                              {"committerUserId", nullptr},
                              {"statusChangedByUserId", nullptr},
                              {"bypassReason", nullptr},
                              {"createdAt", at},
                              {"updatedAt", at}};
    json::object out;
    out["approval"] = std::move(request_body);
    return json_reply(200, out);
}

} // namespace postern::testcloud
