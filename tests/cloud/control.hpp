#pragma once

#include "cloud/cloud.hpp"

#include <functional>
#include <string_view>

// The control origin, for tests that run real programs against the miniature cloud: time, faults, the books, and the
// state of every service as JSON. The paths and their bodies are listed in control_help; whatever no path here offers
// is done with POST /operator, which is any request of a service's own API made without authentication, faults or
// limits.
namespace postern::testcloud {

extern const std::string_view control_help;

class control {
public:
    explicit control(cloud& what) : cloud_(what) {}

    reply serve(const request& r);

private:
    reply time(const request& r, const json::object& body);
    reply faults(const request& r, const json::value& body);
    reply books(const request& r, const json::object& body);
    reply read_state(const request& r);
    reply write_state(const request& r, const json::object& body);
    reply operate(const json::object& body);
    // What the body says is done on purpose is the excuse for whoever is refused by it.
    reply meant(const json::object& body, const std::function<reply()>& act);
    fault read_fault(const json::object& body);

    cloud& cloud_;
};

} // namespace postern::testcloud
