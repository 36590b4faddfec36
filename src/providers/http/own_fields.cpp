#include "own_fields.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backstop/json.hpp"
#include "json/added_fields.hpp"
#include "json/parse.hpp"
#include "text/bare_words.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

[[nodiscard]] Result<void> lay_over(Json& body, std::string_view text, const std::string& from) {
  const Result<Json> fields = read_fields_text(text, from);
  if (!fields) return fields.error();
  const std::string twice = add_fields(body, *fields);
  if (twice.empty()) return {};
  return Error{ErrorKind::invalid_request,
               fmt::format("{}: the field `{}` is in the request already; leave it out here, or there", from, twice)};
}

}  // namespace

bool is_meant_for(const Extra& extra, const Endpoint& endpoint, std::string_view wire) noexcept {
  constexpr std::string_view mark = "wire:";
  const std::string_view to = extra.to;
  if (to.starts_with(mark)) return to.substr(mark.size()) == wire;
  return to == endpoint.target.provider() || to == endpoint.name;
}

Result<void> add_own_fields(std::string& body, const ChatRequest& request, const Endpoint& endpoint,
                            std::string_view wire) {
  const auto meant = [&](const Extra& extra) { return is_meant_for(extra, endpoint, wire); };
  if (endpoint.parameters.empty() && std::none_of(request.extra.begin(), request.extra.end(), meant)) return {};
  const bool deep = nesting_of(body) > deepest_json;
  Json json = deep ? Json{} : Json::parse(mark_numbers(body), nullptr, false);
  if (!json.is_object()) {
    return Error{ErrorKind::invalid_request,
                 "fields of a provider's own are given, and the rest of the request is no JSON to lay them over"};
  }
  if (!endpoint.parameters.empty()) {
    Result<void> added = lay_over(json, endpoint.parameters, "`parameters` of the target");
    if (!added) return added;
  }
  for (const Extra& extra : request.extra) {
    if (!meant(extra)) continue;
    Result<void> added = lay_over(json, extra.fields, fmt::format("`extra` for {}", extra.to));
    if (!added) return added;
  }
  body = json_text(json);
  return {};
}

}  // namespace backstop::inline v0::detail
