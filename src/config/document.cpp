#include "config/document.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "config/setting.hpp"
#include "json/parse.hpp"
#include "providers/failure/secret_headers.hpp"

namespace backstop::inline v0::detail {
namespace {

using Json = nlohmann::ordered_json;

/// How the names of things end that hold a key, without marks between the words.
constexpr std::string_view secret_endings[] = {"apikey",      "accesskey", "secretkey", "subscriptionkey",
                                               "accesstoken", "authtoken", "apitoken",  "securitytoken",
                                               "secret",      "password",  "authorization", "credentials"};

/// How keys begin, and headers that carry one.
constexpr std::string_view secret_beginnings[] = {"sk-", "sk_",  "AIza",   "AKIA", "gsk_", "csk-",        "xai-",
                                                  "hf_", "ghp_", "nvapi-", "r8_",  "fw_",  "github_pat_", "pplx-"};
constexpr std::string_view secret_schemes[] = {"bearer ", "basic "};

bool is_key_letter(char letter) noexcept {
  return (letter >= '0' && letter <= '9') || (to_lower(letter) >= 'a' && to_lower(letter) <= 'z') || letter == '-' ||
         letter == '_';
}

bool looks_secret(std::string_view value) noexcept {
  constexpr std::size_t shortest_key = 20;
  for (const std::string_view scheme : secret_schemes) {
    if (equal_ignoring_case(value.substr(0, scheme.size()), scheme)) return true;
  }
  if (value.size() < shortest_key || !std::all_of(value.begin(), value.end(), is_key_letter)) return false;
  return std::any_of(std::begin(secret_beginnings), std::end(secret_beginnings),
                     [value](std::string_view beginning) { return value.starts_with(beginning); });
}

/// An address such as "https://host/v1?api-key=...".
bool carries_secret_in_query(std::string_view address) {
  std::size_t mark = address.find('?');
  while (mark != std::string_view::npos) {
    address.remove_prefix(mark + 1);
    if (names_secret(address.substr(0, address.find('=')))) return true;
    mark = address.find('&');
  }
  return false;
}

void find_secrets(const Setting& at, const Json& json, Problems& problems) {
  const auto complain = [&] {
    problems.add(fmt::format("`{}` holds a key, or looks like it; keys are never in the file: "
                             "name the environment variable that holds it with `api_key_env`", at.place()));
  };
  if (json.is_string()) {
    const auto& text = json.get_ref<const std::string&>();
    if (looks_secret(text) || carries_secret_in_query(text)) complain();
  }
  if (json.is_array()) {
    const std::vector<Setting> elements = at.elements({});
    for (std::size_t i = 0; i < elements.size(); ++i) find_secrets(elements[i], json[i], problems);
  }
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    const Setting member = at[key];
    if (value.is_string() && names_secret(key)) {
      problems.add(fmt::format("`{}` holds a key, by its name; keys are never in the file: "
                               "name the environment variable that holds it with `api_key_env`", member.place()));
    } else {
      find_secrets(member, value, problems);
    }
  }
}

/// JSON lets a key stand twice and drops one of them without a word.
void find_repeated_keys(std::string_view text, Problems& problems) {
  std::vector<std::vector<std::string>> keys;
  const auto look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const auto level = static_cast<std::size_t>(depth);
    if (event == Json::parse_event_t::object_start) {
      keys.resize(level + 1);
      keys.emplace_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (std::find(keys[level].begin(), keys[level].end(), key) != keys[level].end()) {
        problems.add(fmt::format("the key `{}` stands twice in the same object; once is accepted", key));
      }
      keys[level].push_back(key);
    }
    return true;
  };
  [[maybe_unused]] const Json parsed_again = Json::parse(text, look);
}

}  // namespace

bool names_secret(std::string_view name) {
  if (carries_secret(name)) return true;
  std::string plain;
  for (const char letter : name) {
    if (letter != '-' && letter != '_') plain.push_back(to_lower(letter));
  }
  return plain == "key" || plain == "token" || std::any_of(std::begin(secret_endings), std::end(secret_endings),
                                       [&](std::string_view ending) { return plain.ends_with(ending); });
}

Result<nlohmann::ordered_json> parse_document(std::string_view text) {
  if (text.size() > largest_policy_file) {
    return Error{ErrorKind::invalid_request,
                 fmt::format("the policy is larger than {} bytes, the most that is accepted", largest_policy_file)};
  }
  // The parser takes it for the end of the text.
  if (const std::size_t end = text.find('\0'); end != std::string_view::npos) {
    return Error{ErrorKind::invalid_request, fmt::format("the policy has a zero byte, at offset {}; it must be JSON text", end)};
  }
  Result<Json> document = parse_json(text);
  if (!document) return document;
  Problems problems;
  find_repeated_keys(text, problems);
  find_secrets(Setting{*document, problems}, *document, problems);
  if (!problems.empty()) return Error{ErrorKind::invalid_request, problems.text()};
  return document;
}

}  // namespace backstop::inline v0::detail
