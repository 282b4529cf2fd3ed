#pragma once

#include "cloud/cloud.hpp"

#include <set>
#include <string>

// The state of the miniature cloud as JSON, and JSON as changes to it: the bodies of the control origin.
namespace postern::testcloud {

json::object books_json(const cloud& of);
json::array secrets_json(const books& ledger);
// Values of secrets included.
json::object state_json(cloud& of);
// One POST /state/<part>; null where there is no such part. Throws std::runtime_error on a body that it cannot use.
json::value write_part(cloud& of, const std::string& part, const json::object& body);

json::object switches_json(cloud& of);
// Sets those that the body names.
void set_switches(cloud& of, const json::object& body);

std::set<std::string> texts(const json::array& values);
json::array to_array(const std::set<std::string>& values);
// The `result` of a Cloudflare reply. Throws std::runtime_error with the reply's body where it failed.
json::value result_of(const reply& r);

} // namespace postern::testcloud
