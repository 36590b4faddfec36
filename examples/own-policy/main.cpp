// Two policies of one's own, around models that are functions: one that refuses, one that changes what comes out.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <backstop/backstop.hpp>

using namespace backstop;

namespace {

// 1. A policy that refuses: each user gets so many answers of a dear model.
//
// A wrapper is called from many threads at once, so what it keeps stands behind a lock. The error's kind says what
// happens next: `local_limit` was not sent, so that retry leaves it alone and a fallback client asks the next target.

class FairShare final : public Decorator {
 public:
  FairShare(Provider inner, int answers, std::string description)
      : Decorator{std::move(inner), std::move(description)}, answers_{answers} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    const std::string& user = request.metadata.user_id;
    if (!take(user)) {
      Error refusal{ErrorKind::local_limit, user + " has had a fair share"};
      refusal.target = target();
      context.note_skipped(target(), refusal);  // the ledger says why this target was not asked
      co_return refusal;
    }
    auto reply = co_await next().call(request, context);
    if (!reply) give_back(user);
    co_return reply;
  }

 private:
  [[nodiscard]] bool take(const std::string& user) const {
    const std::lock_guard lock{mutex_};
    int& taken = taken_[user];
    if (taken == answers_) return false;
    ++taken;
    return true;
  }
  void give_back(const std::string& user) const {
    const std::lock_guard lock{mutex_};
    --taken_[user];
  }

  int answers_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, int> taken_;
};

// The factory makes the recipe; `|` makes a wrapper, with counts of its own, for every provider.
Policy fair_share(int answers) {
  return make_policy<FairShare>("fair_share(" + std::to_string(answers) + ")", answers);
}

// 2. A policy that changes the answer: no Markdown, for those who have it read aloud.
//
// A stream goes to the context's sink while it comes, so the wrapper puts a sink of its own in front of the caller's.
// It does so in a copy of the context, which must outlive the call below.

std::string spoken(std::string_view text) {
  std::string plain;
  for (const char letter : text) {
    if (letter != '*' && letter != '`') plain += letter;
  }
  return plain;
}

class SpokenSink final : public ForwardingSink {
 public:
  explicit SpokenSink(StreamSink& listener) : ForwardingSink{listener} {}

  void on_event(const StreamEvent& event) noexcept override {
    if (event.type != StreamEvent::Type::text) return next().on_event(event);
    const std::string plain = spoken(event.delta);
    StreamEvent changed = event;
    changed.delta = plain;
    if (!plain.empty()) next().on_event(changed);
  }
};

class Spoken final : public Decorator {
 public:
  Spoken(Provider inner, std::string description) : Decorator{std::move(inner), std::move(description)} {}

  Task<Result<ChatResponse>> call(const ChatRequest& request, CallContext& context) const override {
    CallContext inner = context;
    std::optional<SpokenSink> sink;
    if (context.streaming()) inner.set_sink(&sink.emplace(*context.sink()));
    auto reply = co_await next().call(request, inner);
    if (!reply) co_return reply;
    for (Part& part : reply->parts) {
      if (auto* text = std::get_if<Text>(&part)) text->text = spoken(text->text);
    }
    co_return reply;
  }
};

Policy for_the_ear() { return make_policy<Spoken>("for_the_ear"); }

}  // namespace

int main() {
  const Provider dear = make_provider("cloud/dear", [](const ChatRequest&) { return "**Restart** the `pager`."; });
  const Provider cheap = make_provider("local/cheap", [](const ChatRequest&) { return "*Buy* a new one."; });
  const FallbackClient client{dear | for_the_ear() | fair_share(2), cheap | for_the_ear()};
  fmt::print("{}\n", client.describe());

  for (const char* user : {"ada", "ada", "ada", "bob"}) {
    ChatRequest request{"My pager went off. What now?"};
    request.metadata.user_id = user;
    fmt::print("{}: ", user);
    ChatStream stream = client.stream(request);
    for (const StreamEvent& event : stream) {
      if (event.type == StreamEvent::Type::text) fmt::print("{}", event.delta);
    }
    for (const Attempt& attempt : stream.result()->attempts) {
      fmt::print(" [{}{}{}]", attempt.target, attempt.sent ? "" : ": ", attempt.sent ? "" : reason_of(attempt));
    }
    fmt::print("\n");
  }
}
