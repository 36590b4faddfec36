#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "backstop/provider.hpp"
#include "providers/failure/secrets.hpp"
#include "providers/wire/endpoint.hpp"
#include "providers/wire/wire_format.hpp"

namespace backstop::inline v0::detail {

/// A model behind HTTP: sends what its wire format encodes and reads the answer with it. One of these per target,
/// whatever the wire.
class HttpModelProvider final : public ModelProvider {
 public:
  /// `secrets`: what is masked in the words of servers; `secrets_of` the endpoint.
  HttpModelProvider(Endpoint endpoint, std::shared_ptr<const WireFormat> wire, std::shared_ptr<const Secrets> secrets);

  /// By how much requests are signed in the future: the server's clock is ahead of the machine's, as its refusals say.
  [[nodiscard]] Duration server_clock_ahead() const noexcept {
    return Duration{server_clock_ahead_.load(std::memory_order_relaxed)};
  }

 private:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override;
  Task<Result<ChatResponse>> send_with_fetched_key(const ChatRequest& request, CallContext& context) const;
  /// `row`: the attempt's in the ledger; other attempts of the call may add theirs meanwhile.
  Task<Result<ChatResponse>> send_to(const Endpoint& endpoint, const Secrets& secrets, std::size_t row,
                                     const ChatRequest& request, CallContext& context) const;
  [[nodiscard]] Layer layer() const override;
  [[nodiscard]] bool can_stream_plain_calls() const noexcept override { return endpoint_.reports_usage_in_streams; }
  /// Whether a refusal has told that the server's clock is another than was believed.
  [[nodiscard]] bool note_server_clock(const HttpResponseHead& head, WallTime now) const noexcept;

  Endpoint endpoint_;
  std::shared_ptr<const WireFormat> wire_;
  std::shared_ptr<const Secrets> secrets_;
  mutable std::atomic<std::int64_t> server_clock_ahead_{0};  // nanoseconds
};

/// The provider for an endpoint. With several keys it goes on to the next when one is refused. A refusal that it can do
/// something about (`AttemptProgress::mended`) is followed by a second send.
[[nodiscard]] Provider http_provider(Endpoint endpoint, std::shared_ptr<const WireFormat> wire);

}  // namespace backstop::inline v0::detail
