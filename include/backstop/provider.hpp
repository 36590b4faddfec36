#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
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
#include "backstop/standing.hpp"

namespace backstop::inline v0 {

struct TargetState;
namespace detail {
class Pool;
class TargetStatistics;
}  // namespace detail

class ChatProvider;

/// What a provider says of its own make, for tools that look at a stack (`lint`).
struct Layer {
  struct Limit {
    std::string_view name;  ///< of the option
    Duration span;
  };

  /// The policy's, such as "retry"; "fallback" for a fallback client; "model" for what sends. For people.
  std::string name{};
  std::vector<const ChatProvider*> around{};  ///< what it calls; nothing for a model
  int sends = 1;  ///< the most that it makes of one call to it, by itself
  std::vector<Limit> limits{};  ///< of time, where they are not the usual ones
  const void* handle = nullptr;  ///< of a breaker or limit: a call has one permit of it, also where it meets it twice
  std::optional<Money> most_cost{};  ///< of a send below it, whatever has been spent; empty: any
  bool model = false;    ///< is what sends, with one key or with several
  bool answers = false;  ///< may answer by itself, as a cache does
  bool shares = false;   ///< may answer by a send that another call makes
  bool judges = false;  ///< refuses answers, as a quality floor does: none of a ladder behind it goes round it
  const detail::Pool* pool = nullptr;  ///< of a fallback client: its candidates, and who decides on their order
  /// Of a policy that may refuse single sends below it: why it would refuse that one, whatever else is settled until
  /// then. For dry runs: asking changes nothing. Lives as long as the provider.
  std::function<std::optional<Error>(const Send&)> refuses{};
  /// Of a policy that may end a call without asking what is below it: how it would end that one now, with an error or
  /// with an answer of that target. Likewise for dry runs.
  std::function<std::optional<Result<Target>>(const ChatRequest&, const CallContext&)> ends_call{};
};

/// Anything that answers chat requests: an adapter, a policy around another provider, a fallback client.
///
/// Only what a `ModelProvider` sends is a send: limited, capped, counted and in the ledger. What another class sends by
/// itself the policies around it do not see.
///
/// `const` means: may be used by many calls at the same time, from any thread.
class BACKSTOP_EXPORT ChatProvider {
 public:
  virtual ~ChatProvider() = default;
  /// Who answers, and the facts known on it.
  [[nodiscard]] virtual const Target& target() const noexcept = 0;
  /// Answers the request. With `context.sink()` set the answer is also streamed to it. Errors are values. Both
  /// arguments outlive the task, which runs on the thread that drives the runtime and must not block it.
  virtual Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const = 0;
  /// How it is put together, inner to outer: `openai/gpt-5 | timeout(20s) | retry(2)`. Never a key.
  [[nodiscard]] virtual std::string describe() const = 0;
  /// Whether it would take the request now, and what a send may cost. Policies that can refuse before sending say so
  /// here, so that a client can skip them; all others hand the question on to the provider inside. By default the facts
  /// of the target decide.
  [[nodiscard]] virtual Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept;
  /// For strategies: what is remembered of the sends to the one target behind it; kept from the first time that
  /// somebody asks. Policies hand the question on. Null for what is more than one target, and for what sends by itself:
  /// a client then keeps its own.
  [[nodiscard]] virtual detail::TargetStatistics* keep_statistics() const { return nullptr; }
  /// This layer of the stack alone; those further in are reached through `Layer::around`.
  [[nodiscard]] virtual Layer layer() const;
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
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept {
    return implementation_->standing(request, needs, now);
  }

 private:
  std::shared_ptr<const ChatProvider> implementation_;
};

/// Base of providers that send: each `send` is one attempt. It asks the attempt observers, counts the attempt against
/// the call's limit, holds it to the limits of `timeout` (their defaults where there is none), measures and prices it,
/// writes its row of the ledger, and notes what its end means for later calls (a cooldown, used-up limits), so that an
/// adapter only sends and decodes.
///
/// Where a provider has seen to what a refusal was about (`AttemptProgress::mended`), it sends once more in the same
/// call: a second attempt, with a row of its own.
///
/// Copies share what is noted. An exception out of `send` fails the attempt with `server_error`.
class BACKSTOP_EXPORT ModelProvider : public ChatProvider {
 public:
  [[nodiscard]] const Target& target() const noexcept final { return target_; }
  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const final;
  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override;
  [[nodiscard]] detail::TargetStatistics* keep_statistics() const override;
  [[nodiscard]] Layer layer() const override;

 protected:
  explicit ModelProvider(Target target);
  /// Another way to a target: what is remembered of it between calls is the same.
  ModelProvider(Target target, const ModelProvider& same);
  /// One attempt. Fill in `replay`, `http_status` and the like of an error; `target`, `committed` and the cost are
  /// filled in by this class. After `context.stopping()` return `context.stop_error()`. With
  /// `context.progress()->streamed` the target is asked for a stream, whether or not the consumer takes one.
  virtual Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const = 0;
  /// Whether a plain call may ask for a stream as well as for a whole answer, and gets the usage all the same.
  [[nodiscard]] virtual bool can_stream_plain_calls() const noexcept { return false; }

 private:
  [[nodiscard]] bool streams(const ChatRequest& request, const CallContext& context) const noexcept;

  Target target_;
  std::shared_ptr<TargetState> state_;
};

}  // namespace backstop::inline v0
