#include "fault_names.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fault_oddities.hpp"

namespace backstop::faults {
namespace {

std::string all_names() {
  std::string names;
  for (const NamedBehaviour& named : named_behaviours()) {
    names += fmt::format("{}{}{}", names.empty() ? "" : ", ", named.name, named.number.empty() ? "" : "(N)");
    if (!named.words.empty()) names += fmt::format(", {}({})", named.name, named.words);
  }
  return names;
}

/// `NAME` or `NAME(WORDS)`; no name where it is neither.
std::pair<std::string_view, std::optional<std::string_view>> split(std::string_view text) {
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos) return {text, std::nullopt};
  if (!text.ends_with(')')) return {};
  return {text.substr(0, open), text.substr(open + 1, text.size() - open - 2)};
}

std::optional<int> number_in(std::string_view words) {
  int number = 0;
  const char* const end = words.data() + words.size();
  const auto read = std::from_chars(words.data(), end, number);
  if (read.ec != std::errc{} || read.ptr != end || number < 0 || number > 1'000'000) return std::nullopt;
  return number;
}

/// What stands before the first comma, and behind it and its blanks; nothing where there is none.
std::pair<std::string_view, std::optional<std::string_view>> at_comma(std::string_view words) {
  const std::size_t comma = words.find(',');
  if (comma == std::string_view::npos) return {words, std::nullopt};
  const std::size_t rest = std::min(words.find_first_not_of(' ', comma + 1), words.size());
  return {words.substr(0, comma), words.substr(rest)};
}

Behaviour tool_call_of(std::string_view words) {
  const auto [name, arguments] = at_comma(words);
  if (name.empty()) throw std::invalid_argument{"tool_call: the name of a tool is wanted"};
  if (arguments && !nlohmann::json::accept(*arguments)) {
    throw std::invalid_argument{fmt::format("tool_call: '{}' is no JSON, which arguments are", *arguments)};
  }
  return tool_call(std::string{name}, std::string{arguments.value_or("{}")});
}

Behaviour paced(int ms, Answer what = {}) {
  what.delay_between = std::chrono::milliseconds{ms};
  return answer(std::move(what));
}

Behaviour paced_of(std::string_view words) {
  const auto [ms, text] = at_comma(words);
  const auto number = number_in(ms);
  if (!number || !text) throw std::invalid_argument{"tokens: a number of milliseconds, a comma and a text are wanted"};
  return paced(*number, {.text = std::string{*text}});
}

/// Where a request names what it wants.
std::optional<std::string> fault_in(const ReceivedRequest& request) {
  if (auto header = request.header("x-fault")) return header;
  std::string model;
  if (const auto body = nlohmann::json::parse(request.body, nullptr, false); body.is_object()) {
    if (const auto field = body.find("model"); field != body.end() && field->is_string()) model = *field;
  }
  constexpr std::string_view prefix = "fault/";
  if (!model.starts_with(prefix)) return std::nullopt;
  return model.substr(prefix.size());
}

}  // namespace

const std::vector<NamedBehaviour>& named_behaviours() {
  static const std::vector<NamedBehaviour> all{
      // clang-format off
      {"answer", "", 0, [](int) { return answer(); },
       "TEXT", [](std::string_view text) { return answer(std::string{text}); }},
      {"tool_call", "", 0, [](int) { return tool_call("search", R"({"query":"backstop"})"); }, "NAME, JSON", tool_call_of},
      {"tokens", "ms between two pieces of a stream", 50, [](int ms) { return paced(ms); }, "MS, TEXT", paced_of},
      {"reasoning", "", 0, [](int) { return reasoning("Let me think.", "Hello there!"); }},
      {"slow", "ms before the first byte", 5000, [](int ms) { return slow_headers(std::chrono::milliseconds{ms}); }},
      {"dribble", "ms between two bytes", 10,
       [](int ms) { return dribble(answer(), std::chrono::milliseconds{ms}); }},

      {"status", "which", 500, [](int code) { return status(code); }},
      {"rate_limited", "s to wait", 1, [](int s) { return rate_limited(std::chrono::seconds{s}); }},
      {"quota_exhausted", "", 0, [](int) { return quota_exhausted(); }},
      {"overloaded", "", 0, [](int) { return overloaded(); }},
      {"unauthorized", "", 0, [](int) { return unauthorized(); }},
      {"context_too_long", "", 0, [](int) { return context_too_long(); }},
      {"content_filtered", "", 0, [](int) { return content_filtered(); }},
      {"model_not_found", "", 0, [](int) { return model_not_found(); }},
      {"html_502", "", 0, [](int) { return html_502(); }},

      {"silence", "", 0, [](int) { return silence(); }},
      {"close_after_request", "", 0, [](int) { return close_after_request(); }},
      {"reset_before_headers", "", 0, [](int) { return reset_before_headers(); }},
      {"reset_after_headers", "", 0, [](int) { return reset_after_headers(); }},

      {"cut_stream", "pieces before", 1, [](int n) { return cut_stream(static_cast<std::size_t>(n)); }},
      {"reset_stream", "pieces before", 1, [](int n) { return reset_stream(static_cast<std::size_t>(n)); }},
      {"stall_stream", "pieces before", 1, [](int n) { return stall_stream(static_cast<std::size_t>(n)); }},
      {"truncated_body", "", 0, [](int) { return truncated_body(); }},

      {"end_without_done", "", 0, [](int) { return end_without_done(); }},
      {"error_event", "pieces before", 1, [](int n) { return error_event_after(static_cast<std::size_t>(n)); }},
      {"malformed_json", "pieces before", 0, [](int n) { return malformed_json(static_cast<std::size_t>(n)); }},
      {"pings_only", "ms between two", 1000,
       [](int ms) { return pings_only(std::chrono::milliseconds{std::max(ms, 1)}); }},
      {"empty_choices", "", 0, [](int) { return empty_choices(); }},
      {"ignores_stream", "", 0, [](int) { return ignores_stream(); }},
      {"crlf_events", "", 0, [](int) { return crlf_events(); }},
      {"huge_header", "bytes", 200'000, [](int n) { return huge_header(static_cast<std::size_t>(n)); }},
      // clang-format on
  };
  return all;
}

Behaviour behaviour_named(std::string_view text) {
  const auto [name, words] = split(text);
  for (const NamedBehaviour& named : named_behaviours()) {
    if (named.name != name) continue;
    if (!words) return named.make(named.usual);
    const auto number = number_in(*words);
    if (number && !named.number.empty()) return named.make(*number);
    if (named.make_of != nullptr) return named.make_of(*words);
    if (number) throw std::invalid_argument{fmt::format("'{}': {} takes no number", text, named.name)};
  }
  throw std::invalid_argument{fmt::format("'{}' is none of: {}", text, all_names())};
}

Behaviour as_requested(Behaviour otherwise) {
  return {"as_requested", [otherwise = std::move(otherwise)](const ReceivedRequest& request) {
            const std::optional<std::string> wanted = fault_in(request);
            if (!wanted) return otherwise.script(request);
            try {
              return behaviour_named(*wanted).script(request);
            } catch (const std::invalid_argument& wrong) {
              const nlohmann::json body{{"error", {{"type", "invalid_request_error"}, {"message", wrong.what()}}}};
              const std::string text = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
              return status(400, {}, text).script(request);
            }
          }};
}

}  // namespace backstop::faults
