#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/export.hpp"
#include "backstop/provider.hpp"
#include "backstop/testing/scripted_step.hpp"

namespace backstop::inline v0::testing {

/// A provider that answers what the test says: one step per send, then the last step again and again. It reports the
/// progress of each attempt as an adapter does, so that every limit of `timeout` can be tried.
///
/// Copies share one script and one record of sends, so the test keeps one and puts policies around another.
/// Thread safety: all functions may be called from any thread.
///
/// Example: `ScriptedProvider primary{"openai/gpt-5", {error(ErrorKind::overloaded), answer("hi")}};
///           auto reply = runtime.call(primary | retry(), "hello"); CHECK(primary.sends().size() == 2);`
class BACKSTOP_EXPORT ScriptedProvider final : public ModelProvider {
 public:
  struct Send {
    TimePoint at{};
    ChatRequest request;
  };

  /// `target` is `provider/model`. Without steps every answer is "ok".
  explicit ScriptedProvider(std::string_view target, std::vector<Step> steps = {});
  /// The same with facts on the model: a price, a window.
  explicit ScriptedProvider(Target target, std::vector<Step> steps = {});
  /// In the place of another provider: what is remembered of that one's target counts these sends too.
  ScriptedProvider(const ModelProvider& in_place_of, std::vector<Step> steps);

  /// Appends to the script.
  const ScriptedProvider& then(Step step) const;
  /// What has been sent so far, oldest first.
  [[nodiscard]] std::vector<Send> sends() const;
  [[nodiscard]] std::size_t send_count() const;

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override;

 private:
  struct Script;
  class Answer;

  std::shared_ptr<Script> script_;
};

}  // namespace backstop::inline v0::testing
