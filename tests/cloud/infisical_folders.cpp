// Folders: the part of infisical that makes places.
#include "cloud/infisical.hpp"

#include <algorithm>

namespace postern::testcloud {

namespace {

bool good_folder_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
    });
}

std::string below(const std::string& path, const std::string& name) {
    return path == "/" ? "/" + name : path + "/" + name;
}

} // namespace

reply infisical::folders(const request& r, const caller& who, const json::object& body,
                         std::span<const std::string> rest) {
    if (auto refused = forbid(who, r.reads() ? "read" : r.method == "DELETE" ? "delete" : "create"))
        return *refused;
    const auto project_field = r.segments[1] == "v2" ? "projectId" : "workspaceId";
    const auto project_text = vault_parameter(r, body, project_field);
    const auto env_slug = vault_parameter(r, body, "environment");
    if (!project_text || !env_slug)
        return validation(project_text ? "environment" : project_field, "string", "undefined");
    if (!known_project(*project_text))
        return failure(404, "NotFound", "Project with ID '" + *project_text + "' not found");
    auto* env = environment(*env_slug);
    if (env == nullptr)
        return failure(404, "NotFound",
                       "Environment with slug '" + *env_slug + "' in project with ID '" + *project_text +
                           "' not found");
    const auto directory = vault_parameter(r, body, "directory");
    const auto path = vault_path(vault_parameter(r, body, "path").value_or(directory.value_or("/")));
    if (r.reads() && rest.empty()) {
        json::array found;
        for (const auto& [where, f] : env->folders)
            if (where != "/" && where == below(path, f.name))
                found.push_back(folder_json(*env, where, f));
        return json_reply(200, json::object{{"folders", found}});
    }
    if (r.method == "POST" && rest.empty()) {
        const auto name = text_at(body, "name").value_or("");
        if (!good_folder_name(name))
            return switches.old_server ? failure(500, "Find by secret path", "Something went wrong")
                                       : validation("name", "string", name.empty() ? "undefined" : "invalid");
        const auto where = below(path, name);
        json::object reply_body;
        auto& made = folder(*env, where);
        reply_body["folder"] = folder_json(*env, where, made);
        return json_reply(200, reply_body);
    }
    if (r.method == "DELETE" && rest.size() == 1) {
        for (auto at = env->folders.begin(); at != env->folders.end(); ++at) {
            const bool named = at->first == below(path, rest[0]) || at->second.id == rest[0];
            if (at->first == "/" || !named)
                continue;
            json::object reply_body;
            reply_body["folder"] = folder_json(*env, at->first, at->second);
            const auto gone = at->first;
            std::erase_if(env->folders,
                          [&](const auto& f) { return f.first == gone || f.first.starts_with(gone + "/"); });
            return json_reply(200, reply_body);
        }
        return failure(404, "NotFound", "Failed to delete folder with ID '" + rest[0] + "', not found");
    }
    return no_route(r);
}

json::object infisical::folder_json(const vault_environment& env, const std::string& path,
                                    const vault_folder& f) const {
    json::object out{{"id", f.id},
                     {"name", f.name},
                     {"version", 1},
                     {"createdAt", vault_stamp(f.created_at)},
                     {"updatedAt", vault_stamp(f.updated_at)},
                     {"envId", env.id},
                     {"parentId", f.parent_id},
                     {"isReserved", false}};
    if (!switches.old_server) {
        out["path"] = path;
        out["description"] = nullptr;
    }
    return out;
}

} // namespace postern::testcloud
