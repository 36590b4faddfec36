#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/runtime/call_context.hpp"
#include "backstop/runtime/task.hpp"

namespace backstop::inline v0 {

/// Whether a provider would take a call at a moment. Asking changes nothing. Fits two registers: it goes through every
/// layer, for every target, with every call.
struct Availability {
  bool ready = true;
  bool probe = false;                       ///< when ready: the call would find out whether the target is well again
  ErrorKind why = ErrorKind::circuit_open;  ///< when not ready: what a call would get
  TimePoint ready_at{};                     ///< when not ready: the earliest moment that may change
};

class ChatProvider;

/// What a provider says of its own make, for tools that look at a stack (`lint`).
struct Layer {
  struct Limit {
    std::string_view name;  ///< of the option
    Duration span;
  };

  std::string name{};  ///< the policy's, such as "retry"; "fallback" for a fallback client; "model" for what sends
  std::vector<const ChatProvider*> around{};  ///< what it calls; nothing for a model
  int sends = 1;  ///< the most that it makes of one call to it, by itself
  std::vector<Limit> limits{};  ///< of time, where they are not the usual ones
};

/// Anything that answers chat requests: an adapter, a policy around another provider, a fallback client.
///
/// `const` means: may be called from many calls and threads at once.
class ChatProvider {
 public:
  virtual ~ChatProvider() = default;
  /// Who answers, and the facts known on it.
  [[nodiscard]] virtual const Target& target() const noexcept = 0;
  /// Answers the request. With `context.sink()` set the answer is also streamed to it. Errors are values.
  /// Both arguments outlive the task; run on the thread that drives the runtime, never block it.
  virtual Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const = 0;
  /// How it is put together, inner to outer: `openai/gpt-5 | timeout(20s) | retry(2)`. Never a key.
  [[nodiscard]] virtual std::string describe() const = 0;
  /// Policies that can refuse before sending say so here, so that a fallback client can pass them over.
  [[nodiscard]] virtual Availability availability(TimePoint now) const noexcept {
    static_cast<void>(now);
    return {};
  }
  /// This layer of the stack alone; those further in are reached through `Layer::around`.
  [[nodiscard]] virtual Layer layer() const {
    Layer layer;
    layer.name = describe();
    return layer;
  }
};

/// A provider as a value: a cheap immutable handle that people copy, keep and put policies around.
class Provider {
 public:
  explicit Provider(std::shared_ptr<const ChatProvider> implementation) : implementation_{std::move(implementation)} {}
  template <class P>
    requires std::derived_from<std::remove_cvref_t<P>, ChatProvider>
  Provider(P&& provider)
      : implementation_{std::make_shared<const std::remove_cvref_t<P>>(std::forward<P>(provider))} {}

  [[nodiscard]] const Target& target() const noexcept { return implementation_->target(); }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const {
    return implementation_->call(request, context);
  }
  [[nodiscard]] std::string describe() const { return implementation_->describe(); }
  [[nodiscard]] const ChatProvider& get() const noexcept { return *implementation_; }
  [[nodiscard]] Availability availability(TimePoint now) const noexcept { return implementation_->availability(now); }

 private:
  std::shared_ptr<const ChatProvider> implementation_;
};

/// Base of providers that send: each `send` is one attempt. It counts the attempt against the call's limit, measures
/// it, prices it and writes its row of the ledger, so that an adapter only sends and decodes.
class BACKSTOP_EXPORT ModelProvider : public ChatProvider {
 public:
  [[nodiscard]] const Target& target() const noexcept final { return target_; }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const final;
  [[nodiscard]] std::string describe() const override { return target_.name(); }
  [[nodiscard]] Layer layer() const override {
    Layer layer;
    layer.name = "model";
    return layer;
  }

 protected:
  explicit ModelProvider(Target target) : target_{std::move(target)} {}
  /// One attempt. Fill in `replay`, `http_status` and the like of an error; `target`, `committed` and the cost are
  /// seen to. After `context.stopping()` return `context.stop_error()`.
  virtual Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const = 0;

 private:
  Target target_;
};

}  // namespace backstop::inline v0
