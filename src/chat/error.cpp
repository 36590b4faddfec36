#include "backstop/chat/error.hpp"

#include <array>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>

#include "text/name_in.hpp"

namespace backstop::inline v0 {
namespace {

/// The text on one line: what comes from a provider may hold line breaks and terminal sequences.
void append_line(std::string& out, std::string_view text) {
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    out += byte < 0x20 || byte == 0x7f ? ' ' : letter;
  }
}

void append_duration(std::string& out, std::chrono::nanoseconds time) {
  const double ms = std::chrono::duration<double, std::milli>(time).count();
  if (ms < 10) {
    fmt::format_to(std::back_inserter(out), "{:.1f} ms", ms);
  } else if (ms < 1000) {
    fmt::format_to(std::back_inserter(out), "{:.0f} ms", ms);
  } else {
    fmt::format_to(std::back_inserter(out), "{:.1f} s", ms / 1000);
  }
}

void append_attempt(std::string& out, const Attempt& attempt) {
  append_line(out, attempt.target.empty() ? std::string_view{"(no target)"} : attempt.target.name());
  out += ": ";
  out += attempt.outcome ? to_string(*attempt.outcome) : "ok";
  if (attempt.judge) out += " (judge)";
  if (attempt.summary) out += " (summary)";
  if (attempt.http_status != 0) fmt::format_to(std::back_inserter(out), ", HTTP {}", attempt.http_status);
  if (attempt.waited.count() > 0) {
    out += ", waited ";
    append_duration(out, attempt.waited);
  }
  if (attempt.sent) {
    out += ", took ";
    append_duration(out, attempt.elapsed);
    if (attempt.ttft) {
      out += ", first token after ";
      append_duration(out, *attempt.ttft);
    }
    out += !attempt.cost_known ? ", cost " : attempt.cost_estimated ? ", about " : ", ";
    out += cost_text(attempt.cost, attempt.cost_known);
  } else {
    out += ", not sent";
  }
  if (!attempt.request_id.empty()) {
    out += ", request ";
    append_line(out, attempt.request_id);
  }
  if (const std::string reason = quoted_reason_of(attempt); !reason.empty()) {
    out += ": ";
    append_line(out, reason);
  }
}

void append_quote(std::string& out, std::string_view words) {
  if (words.empty()) return;
  out.append(out.empty() ? "(it said: " : " (it said: ").append(words) += ')';
}

}  // namespace

std::string_view to_string(TimeoutLimit limit) noexcept {
  constexpr std::array<std::string_view, 8> names{"none", "connect", "first_byte",     "first_token",
                                                  "idle", "attempt", "deadline_share", "client_deadline"};
  return detail::name_in(names, limit);
}

bool passes_with_time(const Error& error) noexcept {
  switch (error.cause.value_or(error.kind)) {
    case ErrorKind::connect_failed:
    case ErrorKind::timeout:
    case ErrorKind::stream_interrupted:
    case ErrorKind::rate_limited:
    case ErrorKind::overloaded:
    case ErrorKind::server_error: return error.should_retry != false;
    default: return false;
  }
}

std::string reason_of(const Attempt& attempt) {
  std::string text = attempt.reason;
  if (attempt.out_for) {
    text += text.empty() ? "(for another " : " (for another ";
    append_duration(text, *attempt.out_for);
    text += ')';
  }
  if (attempt.session) {
    const SessionMove& move = *attempt.session;
    fmt::format_to(std::back_inserter(text), "{}the session {}: its next turns are expected to cost {} here and {} at {}",
                   text.empty() ? "" : "; ",
                   move.moves ? "moves" : move.too_soon ? "stays for now (min_dwell)" : "stays with its prompt cache",
                   to_string(move.here), to_string(move.there), move.other.name());
  }
  return text;
}

std::string quoted_reason_of(const Attempt& attempt) {
  std::string text = reason_of(attempt);
  append_quote(text, attempt.provider_message);
  return text;
}

std::string to_string(const Error& error) {
  std::string out{to_string(error.kind)};
  if (error.timeout_limit != TimeoutLimit::none) {
    fmt::format_to(std::back_inserter(out), " ({})", to_string(error.timeout_limit));
  }
  if (!error.target.empty()) {
    out += " at ";
    append_line(out, error.target.name());
  }
  if (error.http_status != 0) fmt::format_to(std::back_inserter(out), ", HTTP {}", error.http_status);
  std::string words = error.message;
  append_quote(words, error.provider_message);
  if (!words.empty()) {
    out += ": ";
    append_line(out, words);
  }
  for (std::size_t i = 0; i < error.attempts.size(); ++i) {
    fmt::format_to(std::back_inserter(out), "\n  {}. ", i + 1);
    append_attempt(out, error.attempts[i]);
  }
  return out;
}

}  // namespace backstop::inline v0
