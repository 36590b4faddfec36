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
  HttpModelProvider(Endpoint endpoint, std::unique_ptr<const WireFormat> wire);

 private:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override;

  Endpoint endpoint_;
  std::unique_ptr<const WireFormat> wire_;
};

}  // namespace backstop::inline v0::detail
