#include "backstop/chat/error_kind.hpp"

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <string>

namespace error_kind_test {

using namespace backstop;

namespace {

void check_row(ErrorKind kind, std::string_view name, RetryRule retry, FallbackRule fallback, BreakerVerdict breaker,
               CooldownRule cooldown) {
  CAPTURE(name);
  const ErrorTraits& row = traits_of(kind);
  CHECK(row.kind == kind);
  CHECK(row.name == name);
  CHECK(row.retry == retry);
  CHECK(row.fallback == fallback);
  CHECK(row.breaker == breaker);
  CHECK(row.cooldown == cooldown);
}

}  // namespace

TEST_CASE("failures of the way to a provider are retried, fallen back from and counted by breakers") {
  using enum ErrorKind;
  const auto failure = BreakerVerdict::failure;
  check_row(connect_failed, "connect_failed", RetryRule::transient, FallbackRule::preferred, failure, CooldownRule::none);
  check_row(timeout, "timeout", RetryRule::if_no_other_target, FallbackRule::yes, failure, CooldownRule::none);
  check_row(stream_interrupted, "stream_interrupted", RetryRule::transient, FallbackRule::yes, failure,
            CooldownRule::none);
  check_row(overloaded, "overloaded", RetryRule::throttled, FallbackRule::preferred, failure, CooldownRule::hint);
  check_row(malformed_response, "malformed_response", RetryRule::once, FallbackRule::yes, failure,
            CooldownRule::none);
  // A server error has no cooldown of its own; a hint that comes with one is kept like any other.
  check_row(server_error, "server_error", RetryRule::transient, FallbackRule::yes, failure, CooldownRule::hint);
}

TEST_CASE("what says nothing about a provider's health is ignored by its breaker") {
  using enum ErrorKind;
  const auto ignored = BreakerVerdict::ignored;
  check_row(rate_limited, "rate_limited", RetryRule::throttled, FallbackRule::preferred, ignored, CooldownRule::hint);
  check_row(quota_exhausted, "quota_exhausted", RetryRule::never, FallbackRule::yes, ignored, CooldownRule::quota);
  check_row(authentication, "authentication", RetryRule::never, FallbackRule::yes, ignored, CooldownRule::credential);
  check_row(permission, "permission", RetryRule::never, FallbackRule::yes, ignored, CooldownRule::credential);
  check_row(context_window_exceeded, "context_window_exceeded", RetryRule::never, FallbackRule::larger_window, ignored,
            CooldownRule::none);
  check_row(model_not_found, "model_not_found", RetryRule::never, FallbackRule::with_capability, ignored,
            CooldownRule::model);
  // Not the model as a whole is out, only this request at it.
  check_row(unsupported_capability, "unsupported_capability", RetryRule::never, FallbackRule::with_capability, ignored,
            CooldownRule::none);
}

TEST_CASE("a provider that answered is healthy, whatever is thought of the answer") {
  using enum ErrorKind;
  const auto success = BreakerVerdict::success;
  check_row(content_filtered, "content_filtered", RetryRule::never, FallbackRule::opt_in, success, CooldownRule::none);
  check_row(rejected_response, "rejected_response", RetryRule::never, FallbackRule::yes, success, CooldownRule::none);
}

TEST_CASE("what was not sent is never retried, but other targets are tried") {
  using enum ErrorKind;
  const auto ignored = BreakerVerdict::ignored;
  check_row(circuit_open, "circuit_open", RetryRule::never, FallbackRule::yes, ignored, CooldownRule::none);
  check_row(local_limit, "local_limit", RetryRule::never, FallbackRule::yes, ignored, CooldownRule::none);
  check_row(budget_exceeded, "budget_exceeded", RetryRule::never, FallbackRule::cheaper, ignored, CooldownRule::none);
}

TEST_CASE("what would fail everywhere, and what the application ended, goes nowhere else") {
  using enum ErrorKind;
  for (const ErrorKind kind : {invalid_request, cancelled, deadline_exceeded}) {
    check_row(kind, to_string(kind), RetryRule::never, FallbackRule::never, BreakerVerdict::ignored,
              CooldownRule::none);
  }
}

TEST_CASE("every kind stands in its own row and is found by its name") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < error_kind_count; ++i) {
    const ErrorTraits& row = error_table[i];
    CHECK(static_cast<std::size_t>(row.kind) == i);
    CHECK(error_kind_from(row.name) == row.kind);
    names.insert(row.name);
  }
  CHECK(names.size() == error_kind_count);
  CHECK(static_cast<std::size_t>(ErrorKind::deadline_exceeded) + 1 == error_kind_count);
  CHECK_FALSE(error_kind_from("no_such_kind"));
}

}  // namespace error_kind_test
