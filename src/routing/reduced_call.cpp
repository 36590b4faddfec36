#include "routing/reduced_call.hpp"

#include <optional>
#include <utility>

namespace backstop::inline v0::detail {
namespace {

Task<Result<ChatResponse>> call_reduced(const ChatRequest& request, const Degradation& degradation,
                                        const Provider& provider, CallContext& outer) {
  CallContext context = outer;
  std::optional<DegradedSink> sink;
  if (outer.streaming()) context.set_sink(&sink.emplace(*outer.sink(), degradation));
  Task<Result<ChatResponse>> task = provider.call(request, context);
  Result<ChatResponse> result = co_await task;
  if (result) {
    // A client inside may have given up more by its own ladder.
    std::optional<Degradation>& told = result->degradation;
    told = told ? merged(degradation, *told) : degradation;
  }
  co_return result;
}

}  // namespace

void DegradedSink::on_event(const StreamEvent& event) noexcept {
  if (event.type == StreamEvent::Type::restarted) {
    pending_ = true;  // the consumer forgets that, too
    return next().on_event(event);
  }
  if (event.degradation != nullptr) {
    pending_ = false;
    try {
      return tell(merged(*degradation_, *event.degradation));
    } catch (...) {  // no memory: two events say the same
      tell(*degradation_);
      return next().on_event(event);
    }
  }
  if (std::exchange(pending_, false)) tell(*degradation_);
  next().on_event(event);
}

void DegradedSink::tell(const Degradation& degradation) noexcept {
  StreamEvent event;
  event.type = StreamEvent::Type::degraded;
  event.degradation = &degradation;
  next().on_event(event);
}

Task<Result<ChatResponse>> call_with(const Offer& offer, const Provider& provider, CallContext& context) {
  if (offer.degradation == nullptr) return provider.call(*offer.request, context);
  return call_reduced(*offer.request, *offer.degradation, provider, context);
}

}  // namespace backstop::inline v0::detail
