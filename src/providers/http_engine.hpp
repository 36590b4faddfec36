#pragma once

#include <memory>

#include "backstop/provider.hpp"
#include "endpoint.hpp"
#include "wire_format.hpp"

namespace backstop::inline v0::detail {

/// A model behind HTTP: sends what its wire format encodes and reads the answer with it. One of these per target,
/// whatever the wire.
class HttpModelProvider final : public ModelProvider {
 public:
  HttpModelProvider(Endpoint endpoint, std::shared_ptr<const WireFormat> wire);

 private:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override;

  Endpoint endpoint_;
  std::shared_ptr<const WireFormat> wire_;
};

/// The provider for an endpoint; for one with several keys it calls with each of them.
[[nodiscard]] Provider http_provider(Endpoint endpoint, std::shared_ptr<const WireFormat> wire);

}  // namespace backstop::inline v0::detail
