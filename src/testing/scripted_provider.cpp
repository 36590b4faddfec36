#include "backstop/testing/scripted_provider.hpp"

#include <mutex>
#include <string>
#include <utility>

namespace backstop::inline v0::testing {

struct ScriptedProvider::Script {
  explicit Script(std::vector<Step> script_steps) : steps{std::move(script_steps)} {}

  Step next(const ChatRequest& request, TimePoint now) {
    const std::lock_guard lock{mutex};
    sends.push_back({now, request});
    if (steps.empty()) return answer("ok");
    return next_step + 1 < steps.size() ? steps[next_step++] : steps.back();
  }

  std::mutex mutex;
  std::vector<Step> steps;
  std::size_t next_step = 0;
  std::vector<Send> sends;
};

/// What has come of one answer so far.
class ScriptedProvider::Answer {
 public:
  explicit Answer(const CallContext& context) noexcept : context_{&context} {}

  void connect() noexcept {
    AttemptProgress& progress = *context_->progress();
    if (!AttemptProgress::reached(progress.connected)) progress.connected = context_->now();
  }
  void bytes() noexcept {
    AttemptProgress& progress = *context_->progress();
    connect();
    progress.last_byte = context_->now();
    if (!AttemptProgress::reached(progress.first_byte)) progress.first_byte = progress.last_byte;
  }

  void text(const std::string& delta) {
    auto* last = response_.parts.empty() ? nullptr : std::get_if<Text>(&response_.parts.back());
    if (last == nullptr) last = &std::get<Text>(response_.parts.emplace_back(Text{}));
    last->text += delta;
    emit_delta(StreamEvent::Type::text, delta);
  }
  void reasoning(const std::string& delta) {
    auto* last = response_.parts.empty() ? nullptr : std::get_if<Reasoning>(&response_.parts.back());
    if (last == nullptr) last = &std::get<Reasoning>(response_.parts.emplace_back(Reasoning{}));
    last->text += delta;
    emit_delta(StreamEvent::Type::reasoning, delta);
  }
  void tool_arguments(const std::string& delta) {
    const ToolCall call{next_id(), "", ""};
    emit_delta(StreamEvent::Type::tool_call_delta, delta, &call);
  }
  void tool_call(ToolCall call) {
    call.id = next_id();
    const auto& stored = std::get<ToolCall>(response_.parts.emplace_back(std::move(call)));
    ++tool_calls_;
    emit_delta(StreamEvent::Type::tool_call, "", &stored);
  }

  [[nodiscard]] ChatResponse finish(const Usage& usage, std::optional<FinishReason> reason, const std::string& model) {
    bytes();
    if (!context_->streaming()) context_->note_first_content();
    response_.finish_reason = reason.value_or(tool_calls_ > 0 ? FinishReason::tool_calls : FinishReason::stop);
    response_.usage = usage;
    response_.model = model;
    return std::move(response_);
  }
  [[nodiscard]] Error fail(Error error) {
    if (error.http_status != 0) bytes();
    if (context_->streaming()) error.partial_text = response_.text();
    return error;
  }

 private:
  void emit_delta(StreamEvent::Type type, std::string_view delta, const ToolCall* call = nullptr) {
    if (!context_->streaming()) return;
    bytes();
    StreamEvent event;
    event.type = type;
    event.delta = delta;
    event.tool_call = call;
    context_->deliver(event);
  }
  [[nodiscard]] std::string next_id() const { return "call_" + std::to_string(tool_calls_ + 1); }

  const CallContext* context_;
  ChatResponse response_;
  int tool_calls_ = 0;
};

ScriptedProvider::ScriptedProvider(std::string_view target, std::vector<Step> steps)
    : ScriptedProvider{Target::parse(target), std::move(steps)} {}

ScriptedProvider::ScriptedProvider(Target target, std::vector<Step> steps)
    : ModelProvider{std::move(target)}, script_{std::make_shared<Script>(std::move(steps))} {}

ScriptedProvider::ScriptedProvider(const ModelProvider& in_place_of, std::vector<Step> steps)
    : ModelProvider{in_place_of.target(), in_place_of}, script_{std::make_shared<Script>(std::move(steps))} {}

const ScriptedProvider& ScriptedProvider::then(Step step) const {
  const std::lock_guard lock{script_->mutex};
  script_->steps.push_back(std::move(step));
  return *this;
}

std::vector<ScriptedProvider::Send> ScriptedProvider::sends() const {
  const std::lock_guard lock{script_->mutex};
  return script_->sends;
}

std::size_t ScriptedProvider::send_count() const {
  const std::lock_guard lock{script_->mutex};
  return script_->sends.size();
}

Task<Result<ChatResponse>> ScriptedProvider::send(const ChatRequest& request, CallContext& context) const {
  const Step step = script_->next(request, context.now());
  Answer answer{context};
  context.progress()->network = true;
  context.state().ledger.back().rate_limit = step.rate_limit_;
  if (step.refuses_prefill_ && !request.messages.empty() && request.messages.back().role == Role::assistant) {
    Error refusal{ErrorKind::invalid_request, "this model does not support assistant message prefill"};
    refusal.http_status = 400;
    refusal.replay = ReplaySafety::maybe_processed;
    co_return answer.fail(std::move(refusal));
  }
  bool connecting = false;
  for (const Step::Moment& moment : step.moments_) connecting = connecting || moment.what == Step::What::connect;
  if (!connecting) answer.connect();

  for (std::size_t next = 0; next < step.moments_.size();) {
    const Step::Moment& moment = step.moments_[next];
    if (moment.what != Step::What::endless_bytes) ++next;
    ConsumerReady consumer{context};
    co_await consumer;
    Sleep sleep = context.sleep(moment.span);
    auto slept = co_await sleep;
    if (!slept) co_return answer.fail(std::move(slept).error());
    switch (moment.what) {
      case Step::What::connect: answer.connect(); break;
      case Step::What::wait: break;
      case Step::What::bytes:
      case Step::What::endless_bytes: answer.bytes(); break;
      case Step::What::text: answer.text(moment.text); break;
      case Step::What::reasoning: answer.reasoning(moment.text); break;
      case Step::What::tool_arguments: answer.tool_arguments(moment.text); break;
      case Step::What::tool_call: answer.tool_call(moment.tool_call); break;
      case Step::What::finish: co_return answer.finish(step.usage_, step.finish_reason_, step.model_);
      case Step::What::fail: co_return answer.fail(*moment.error);
    }
    if (context.stopping()) co_return answer.fail(context.stop_error());  // by the consumer of that very event
  }
  co_return answer.finish(step.usage_, step.finish_reason_, step.model_);
}

}  // namespace backstop::inline v0::testing
