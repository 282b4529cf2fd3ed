#include "cloud/edge.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postern::testcloud {

namespace {

std::string base64url(std::string_view bytes) {
    auto out = base64(bytes);
    while (out.ends_with('='))
        out.pop_back();
    std::replace(out.begin(), out.end(), '+', '-');
    std::replace(out.begin(), out.end(), '/', '_');
    return out;
}

std::string jwt(const json::object& payload, const std::string& signature) {
    const json::object header{{"alg", "RS256"}, {"typ", "JWT"}};
    return base64url(json::serialize(header)) + "." + base64url(json::serialize(payload)) + "." + signature;
}

std::string percent(std::string_view text) {
    std::string out;
    for (char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                           c == '_' || c == '.' || c == '~';
        if (plain)
            out += c;
        else
            out += "%" + hex(std::string_view{&c, 1});
    }
    return out;
}

std::string host_of(const request& r) {
    const auto host = lower(r.header("Host").value_or(""));
    return host.substr(0, host.find(':'));
}

reply page(int status, std::string_view title) {
    return text_reply(status, "text/html; charset=UTF-8",
                      "<!DOCTYPE html><html><head><title>" + std::string{title} + "</title></head><body><h1>" +
                          std::string{title} + "</h1></body></html>");
}

} // namespace

edge::edge(virtual_time& time, dice& ids, cloudflare& api) : time_(time), ids_(ids), api_(api) {}

void edge::set_delays(std::vector<duration> delays) {
    delays_ = std::move(delays);
    const bool lagging = std::any_of(delays_.begin(), delays_.end(), [](auto d) { return d > duration{}; });
    if (!lagging)
        history_.clear();
    else if (history_.empty())
        history_.push_back({instant{duration::min() / 2}, std::make_shared<const access_config>(api_.config)});
}

const access_config& edge::known_at(std::size_t location) const {
    const auto delay = delays_.at(location);
    if (delay == duration{} || history_.empty())
        return api_.config;
    const auto seen = time_.now() - delay;
    const auto later =
        std::upper_bound(history_.begin(), history_.end(), seen, [](instant at, const auto& s) { return at < s.at; });
    return *(later == history_.begin() ? history_.front() : *std::prev(later)).config;
}

bool edge::settled() const {
    const auto longest = *std::max_element(delays_.begin(), delays_.end());
    return history_.empty() || history_.back().at + longest <= time_.now();
}

void edge::record() {
    if (history_.empty())
        return;
    history_.push_back({time_.now(), std::make_shared<const access_config>(api_.config)});
    const auto longest = *std::max_element(delays_.begin(), delays_.end());
    while (history_.size() > 2 && history_[1].at + longest < time_.now())
        history_.pop_front();
}

std::optional<instant> edge::next_arrival(instant after) const {
    std::optional<instant> next;
    for (const auto& s : history_)
        for (const auto delay : delays_)
            if (const auto at = s.at + delay; delay > duration{} && at > after && (!next || at < *next))
                next = at;
    return next;
}

edge_visit edge::serve(const request& r) {
    edge_visit out;
    out.edge = next_location_;
    next_location_ = (next_location_ + 1) % locations();
    const auto host = host_of(r);
    const auto ray = ids_.hex(16);
    const auto known = hosts.find(host);
    const auto behaviour = known == hosts.end() ? host_behaviour{} : known->second;
    auto finish = [&](reply answer) {
        answer.with("CF-Ray", ray + "-LIS").with("Server", "cloudflare");
        out.answer = std::move(answer);
        return out;
    };
    const auto& config = known_at(out.edge);
    const auto shown = read_visit(r, config);
    out.knock = !shown.shown && !shown.muddled;
    if (behaviour.outside_access) {
        out.answer = origin_answer(host, r.path);
        return out;
    }
    const auto agent = r.header("User-Agent").value_or("");
    if (behaviour.waf || agent.empty() || (!refused_agents.empty() && agent.starts_with(refused_agents)))
        return finish(text_reply(403, "text/plain; charset=UTF-8", "error code: 1010"));
    const bool guarded = guard_of(config, host, r.path) != nullptr;
    if (!guarded && known == hosts.end())
        return finish(text_reply(530, "text/html; charset=UTF-8", "error code: 1016"));
    out.judged = judge(config, shown, time_.now(), switches);
    note(shown, out.judged, ray);
    if (!out.judged.passes())
        return finish(refuse(r, shown, out.judged, config));
    if (behaviour.failing)
        return finish(text_reply(*behaviour.failing, "text/html; charset=UTF-8",
                                 "error code: " + std::to_string(*behaviour.failing)));
    auto answer = origin_answer(host, r.path);
    if (out.judged.what == ruling::admitted && !config.org.strict_service_token_auth)
        answer.with("Set-Cookie", "CF_Authorization=" + session_cookie(config.apps.at(out.judged.app_id).aud) +
                                      "; Path=/; Secure; HttpOnly");
    return finish(std::move(answer));
}

visit edge::read_visit(const request& r, const access_config& config) const {
    visit v;
    v.host = host_of(r);
    v.path = r.path.empty() ? "/" : r.path;
    const auto id = r.header("CF-Access-Client-Id");
    const auto secret_text = r.header("CF-Access-Client-Secret");
    const bool twice = r.header_count("CF-Access-Client-Id") > 1 || r.header_count("CF-Access-Client-Secret") > 1;
    if (id && secret_text)
        v.shown = credential{*id, *secret_text};
    v.muddled = twice || (id.has_value() != secret_text.has_value());
    const auto* app = guard_of(config, v.host, v.path);
    if (app != nullptr)
        if (const auto name = text_at(app->settings, "read_service_tokens_from_header"))
            if (const auto text = r.header(*name)) {
                boost::system::error_code ec;
                const auto value = json::parse(*text, ec);
                const auto* o = ec ? nullptr : value.if_object();
                const auto one = o == nullptr ? std::nullopt : text_at(*o, "cf-access-client-id");
                const auto other = o == nullptr ? std::nullopt : text_at(*o, "cf-access-client-secret");
                v.muddled = v.muddled || v.shown.has_value();
                if (one && other)
                    v.shown = credential{*one, *other};
            }
    if (v.muddled)
        v.shown.reset();
    const auto cookies = r.header("Cookie").value_or("");
    for (const auto& [cookie, session] : sessions_)
        if (time_.now() < session.second && cookies.find(cookie) != std::string::npos)
            v.session_of_auds.insert(session.first);
    return v;
}

std::string edge::session_cookie(const std::string& aud) {
    const auto now = time_.now().time_since_epoch().count() / 1000;
    const json::object payload{
        {"type", "app"}, {"aud", json::array{aud}}, {"iat", now}, {"exp", now + 86400}, {"sub", ""}};
    auto cookie = jwt(payload, dice::secret("", 86));
    sessions_[cookie] = {aud, time_.now() + std::chrono::hours{24}};
    return cookie;
}

void edge::note(const visit& v, const verdict& judged, const std::string& ray) {
    if (judged.token_id.empty() || judged.app_id.empty())
        return;
    const bool allowed = judged.what == ruling::admitted;
    api_.access_log.push_back({time_.now(), ray, judged.app_id, v.shown ? v.shown->client_id : "", allowed});
    if (const auto found = api_.config.tokens.find(judged.token_id); allowed && found != api_.config.tokens.end())
        found->second.last_seen_at = time_.now();
}

reply edge::refuse(const request& r, const visit& v, const verdict& judged, const access_config& config) {
    const std::string challenge = "Cloudflare-Access resource_metadata=\"https://" + v.host +
                                  "/.well-known/cloudflare-access-protected-resource/\"";
    if (judged.what == ruling::unauthorized)
        return page(401, "Unauthorized").with("WWW-Authenticate", challenge);
    if (judged.what == ruling::forbidden)
        return page(403, "Forbidden. You don't have permission to view this. Please contact your system administrator.")
            .with("WWW-Authenticate", "Cloudflare-Access");
    const auto& aud = config.apps.at(judged.app_id).aud;
    const auto now = time_.now().time_since_epoch().count() / 1000;
    const json::object meta{{"service_token_status", judged.recognised},
                            {"hostname", v.host},
                            {"aud", aud},
                            {"auth_status", "NONE"},
                            {"is_warp", false},
                            {"is_gateway", false},
                            {"type", "meta"},
                            {"nbf", now},
                            {"iat", now},
                            {"exp", now + 300}};
    reply out = text_reply(302, "text/html", "");
    out.with("Location", "https://" + config.org.auth_domain + "/cdn-cgi/access/login/" + v.host + "?kid=" + aud +
                             "&meta=" + jwt(meta, ids_.hex(64)) + "&redirect_url=" + percent(r.target));
    out.with("WWW-Authenticate", challenge);
    out.with("Set-Cookie", "CF_AppSession=" + ids_.hex(16) + "; Path=/; Secure; HttpOnly");
    return out;
}

reply edge::origin_answer(const std::string& host, const std::string& path) const {
    const auto known = hosts.find(host);
    const auto behaviour = known == hosts.end() ? host_behaviour{} : known->second;
    if (path != "/" && !path.ends_with("/health"))
        return text_reply(404, "text/plain", "not found");
    auto answer = text_reply(behaviour.status, "text/plain", behaviour.body);
    answer.headers.insert(answer.headers.end(), behaviour.headers.begin(), behaviour.headers.end());
    return answer;
}

} // namespace postern::testcloud
