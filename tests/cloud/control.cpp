#include "cloud/control.hpp"

#include "cloud/control_json.hpp"

#include <exception>
#include <regex>

namespace postern::testcloud {

const std::string_view control_help = R"(The control origin (plain HTTP, JSON in and out):
  GET  /help                     this text
  GET  /time                     {"now","flowing"}
  POST /time/advance             {"seconds":n} or {"to":"2027-01-01T00:00:00Z"}: everything due in between happens
  POST /time/freeze, /time/flow  {}: stand still; follow the system's clock again
  GET  /faults                   what waits, with "seen" and "fired"
  POST /faults                   one or a list of {"service","method":"POST|write|...","path":"regex","skip":0,"times":1,
                                 "action":"drop|reset|hang|answer|truncate|cut|delay|empty_list|hold|hook","after":false,
                                 "status":503,"headers":{},"body":"text or JSON","delayMs":0,"name",
                                 "operations":[{as for POST /operator}]}   (times 0: for ever; operations: for "hook")
  DELETE /faults
  POST /faults/release           {}: what was held is served now
  GET  /books                    {"requests","refusals","counts","consumers"}; /books/requests, /books/refusals (excused ones too, marked),
                                 /books/counts, /books/consumers, /books/secrets (values!) are its parts
  POST /books/leaks              {"text"}: names of the secrets that occur in it
  POST /books/expect             {"consumer":"heroku:app/VAR","place":"host[/path]"}
  POST /books/excuse             {"consumer","place","clientId","reason"}: refusals that match every given one are excused from now on;
                                 a reason and one of the others must be there; {"end":true}: none is any more
  POST /books/settings           {"ownFolders":["/MooseQuest/postern"],"onlyEverywhere":false,"enabled":true}
  POST /books/check              look now; DELETE /books/requests forgets the requests
  GET  /state                    all of /state/cloudflare, /state/infisical, /state/heroku, /state/edge (values of secrets included)
  POST /state/apps               {"name","domain","id","policies":[{"name","decision","include",...}]} a Cloudflare application
  POST /state/tokens             {"name","duration":"8760h","expiresInSeconds":n,"enabled":true} a service token, with its secret;
                                 with "id": changes that token
  POST /state/cleanup            {"tokenId","action":"disable|delete"}: Cloudflare's inactivity clean-up
  POST /state/organization       {"strict":true,"authDomain","inactivity":{...}}
  POST /state/api-tokens         {"value","accountOwned","status","scopes":["tokens:write",...],"expiresInSeconds"}: by value, made or changed
  POST /state/vault              {"path","key","value","environment":"prod","duplicate":false}; value null removes; no key: a folder
  POST /state/identities         {"role":"member|viewer|no-access|","ttl","maxTtl","usesLimit","clientId"}: made, or changed by clientId;
                                 "addSecret":true, "dropSecrets":true, "unlock":true
  POST /state/heroku-apps        {"name","config":{},"locked","gone","twoFactor","maintenance","attachments":[],"masked":[],
                                 "releasePhase":{"seconds":30,"fails":false,"stuck":false}|null}: made, or changed by name
  POST /state/heroku-keys        {"value","scopes":["global"],"valid":true}
  POST /state/hosts              {"host","outsideAccess","waf","failing":502|null,"status":200,"body","headers":{}}
  POST /state/edges              {"delaysMs":[0,10000,20000]}: one location per delay
  POST /state/clock-skew         {"service":"cloudflare|infisical|heroku|edge","seconds":n}: how far its Date header is off
  POST /state/switches           {"cloudflare":{},"infisical":{},"heroku":{},"edge":{}}: see the *_switches structs; GET /state shows all
  POST /operator                 {"service":"cloudflare|infisical|heroku","method","target","body"}: the service's own API, as its operator

With "onPurpose":"why" in the body of /operator and of POST /state/..., who is refused by that very request is excused.
A refusal that is not excused makes postern-cloud end with status 3 and say who was refused.
)";

namespace {

reply bad(std::string_view what) {
    return json_reply(400, json::object{{"error", what}});
}

reply done() {
    return json_reply(200, json::object{{"ok", true}});
}

} // namespace

reply control::serve(const request& r) {
    json::value body = json::object{};
    if (!r.body.empty()) {
        boost::system::error_code ec;
        body = json::parse(r.body, ec);
        if (ec)
            return bad("the body is no JSON");
    }
    cloud_.catch_up();
    try {
        const auto area = r.segments.empty() ? std::string{"help"} : r.segments[0];
        if (area == "help")
            return text_reply(200, "text/plain", std::string{control_help});
        if (area == "faults")
            return faults(r, body);
        if (!body.is_object())
            return bad("the body is no object");
        const auto& fields = body.get_object();
        if (area == "time")
            return time(r, fields);
        if (area == "books")
            return books(r, fields);
        if (area == "state")
            return r.reads() ? read_state(r) : write_state(r, fields);
        if (r.path == "/operator")
            return operate(fields);
    } catch (const std::exception& e) {
        return bad(e.what());
    }
    return json_reply(404, json::object{{"error", "no such control; GET /help lists them"}});
}

reply control::time(const request& r, const json::object& body) {
    if (r.path == "/time/freeze")
        cloud_.time.freeze();
    else if (r.path == "/time/flow")
        cloud_.time.flow();
    else if (r.path == "/time/advance") {
        if (const auto to = text_at(body, "to")) {
            const auto at = parse_instant(*to);
            if (!at)
                return bad("\"to\" is no instant");
            cloud_.advance_to(*at);
        } else {
            const auto* seconds = body.if_contains("seconds");
            if (seconds == nullptr || !seconds->is_number())
                return bad("\"seconds\" or \"to\" is wanted");
            cloud_.advance(duration{static_cast<std::int64_t>(seconds->to_number<double>() * 1000)});
        }
    }
    json::object out{{"now", format_instant(cloud_.time.now())}, {"flowing", cloud_.time.flowing()}};
    return json_reply(200, out);
}

fault control::read_fault(const json::object& body) {
    fault f;
    const auto action = parse_fault_action(text_at(body, "action").value_or(""));
    if (!action)
        throw std::runtime_error("\"action\" is none that I know");
    f.what = *action;
    f.name = text_at(body, "name").value_or("");
    if (const auto to = text_at(body, "service")) {
        f.to = parse_service(*to);
        if (!f.to)
            throw std::runtime_error("\"service\" is none that I know");
    }
    f.method = text_at(body, "method").value_or("");
    f.path = text_at(body, "path").value_or("");
    f.skip = static_cast<std::size_t>(number_at(body, "skip").value_or(0));
    f.times = static_cast<std::size_t>(number_at(body, "times").value_or(1));
    f.after = flag_at(body, "after").value_or(false);
    f.status = static_cast<int>(number_at(body, "status").value_or(500));
    f.delay = duration{number_at(body, "delayMs").value_or(0)};
    if (const auto* text = body.if_contains("body"))
        f.body = text->is_string() ? std::string{text->get_string()} : json::serialize(*text);
    if (const auto* headers = object_at(body, "headers"))
        for (const auto& h : *headers)
            f.headers.push_back({std::string{h.key()}, std::string{h.value().as_string()}});
    if (const auto* operations = array_at(body, "operations"))
        f.act = [this, steps = *operations] {
            for (const auto& step : steps)
                operate(step.as_object());
        };
    return f;
}

reply control::faults(const request& r, const json::value& body) {
    if (r.path == "/faults/release") {
        cloud_.trouble.release();
    } else if (r.method == "DELETE") {
        cloud_.trouble.clear();
    } else if (r.method == "POST" && body.is_array()) {
        for (const auto& one : body.get_array())
            cloud_.trouble.add(read_fault(one.as_object()));
    } else if (r.method == "POST") {
        cloud_.trouble.add(read_fault(body.as_object()));
    }
    json::array out;
    for (const auto& f : cloud_.trouble.all())
        out.push_back({{"name", f.name},
                       {"action", to_string(f.what)},
                       {"method", f.method},
                       {"path", f.path},
                       {"seen", f.seen},
                       {"fired", f.fired}});
    return json_reply(200, out);
}

reply control::books(const request& r, const json::object& body) {
    const auto part = r.segments.size() > 1 ? r.segments[1] : std::string{};
    if (r.method == "DELETE" && part == "requests") {
        cloud_.ledger.forget_requests();
        return done();
    }
    if (r.reads()) {
        const auto all = books_json(cloud_);
        if (part.empty())
            return json_reply(200, all);
        if (part == "secrets")
            return json_reply(200, secrets_json(cloud_.ledger));
        const auto* wanted = all.if_contains(part);
        return wanted == nullptr ? bad("no such part of the books") : json_reply(200, *wanted);
    }
    if (part == "leaks") {
        json::array found;
        for (const auto& name : cloud_.ledger.leaks_in(text_at(body, "text").value_or("")))
            found.emplace_back(name);
        return json_reply(200, json::object{{"leaks", found}});
    }
    if (part == "expect") {
        cloud_.checks.expect(text_at(body, "consumer").value_or(""), text_at(body, "place").value_or(""));
    } else if (part == "excuse" && flag_at(body, "end").value_or(false)) {
        cloud_.checks.excuse_no_more();
    } else if (part == "excuse") {
        cloud_.checks.excuse_from_now_on({text_at(body, "consumer").value_or(""), text_at(body, "place").value_or(""),
                                          text_at(body, "clientId").value_or(""),
                                          text_at(body, "reason").value_or("")});
    } else if (part == "settings") {
        auto& checks = cloud_.checks;
        checks.enabled = flag_at(body, "enabled").value_or(checks.enabled);
        checks.only_everywhere = flag_at(body, "onlyEverywhere").value_or(checks.only_everywhere);
        if (const auto* folders = array_at(body, "ownFolders"))
            checks.own_folders = texts(*folders);
    } else if (part == "check") {
        cloud_.changed("a look by hand");
    } else {
        return bad("no such part of the books");
    }
    return done();
}

reply control::meant(const json::object& body, const std::function<reply()>& act) {
    const auto why = text_at(body, "onPurpose");
    if (!why)
        return act();
    reply out;
    cloud_.checks.on_purpose(*why, [&] { out = act(); });
    return out;
}

reply control::operate(const json::object& body) {
    const auto to = parse_service(text_at(body, "service").value_or(""));
    if (!to || *to == service::control || *to == service::edge)
        return bad("\"service\" is cloudflare, infisical or heroku");
    const auto* sent = body.if_contains("body");
    return meant(body, [&] {
        return cloud_.as_operator(*to, text_at(body, "method").value_or("GET"), text_at(body, "target").value_or("/"),
                                  sent == nullptr ? json::value{} : *sent);
    });
}

reply control::read_state(const request& r) {
    const auto all = state_json(cloud_);
    if (r.segments.size() < 2)
        return json_reply(200, all);
    const auto* wanted = all.if_contains(r.segments[1]);
    return wanted == nullptr ? bad("no such state") : json_reply(200, *wanted);
}

reply control::write_state(const request& r, const json::object& body) {
    const auto part = r.segments.size() > 1 ? r.segments[1] : std::string{};
    return meant(body, [&] {
        auto out = write_part(cloud_, part, body);
        if (out.is_null())
            return bad("no such state to write: " + part);
        cloud_.changed("control: " + part);
        return json_reply(200, out);
    });
}

} // namespace postern::testcloud
