#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backstop/app/batch.hpp"
#include "backstop/fallback_client.hpp"
#include "backstop/policies/accept_if.hpp"
#include "backstop/policies/checks.hpp"
#include "backstop/testing/scripted_provider.hpp"
#include "backstop/testing/virtual_runtime.hpp"
#include "support/temporary_file.hpp"

namespace batch_test {

using namespace backstop;
using namespace backstop::testing;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Answers each prompt with itself, after a second; "bad" fails.
class Echo final : public ModelProvider {
 public:
  explicit Echo(Target target = Target{"one", "a"}) : ModelProvider{std::move(target)} {}

  struct Seen {
    int sends = 0;
    int now = 0;
    int most = 0;
  };
  std::shared_ptr<Seen> seen = std::make_shared<Seen>();

 protected:
  Task<Result<ChatResponse>> send(const ChatRequest& request, CallContext& context) const override {
    ++seen->sends;
    seen->most = std::max(seen->most, ++seen->now);
    const std::string text = text_of(request.messages.back().parts);
    auto slept = co_await context.sleep(text == "slow" ? Duration{10s} : Duration{1s});
    --seen->now;
    if (!slept) co_return slept.error();
    if (text == "bad") co_return Error{ErrorKind::invalid_request, "bad"};
    ChatResponse response;
    response.parts.emplace_back(Text{text});
    response.usage.input_tokens = 100;
    response.usage.output_tokens = 100;
    co_return response;
  }
};

struct Lab {
  [[nodiscard]] FallbackClient client(const Provider& model) const {
    FallbackOptions options;
    options.recovery.max_wait = 0s;
    options.runtime = world.share();
    return FallbackClient{model, options};
  }

  VirtualRuntime world;
};

using Texts = std::vector<std::string>;

/// Index and answer of each result, as they came.
struct Collected {
  void operator()(const BatchResult& result) {
    texts.push_back(std::to_string(result.index) + result.id + ":" +
                    (result.reply ? result.reply->text() : std::string{to_string(result.reply.error().kind)}));
  }
  Texts texts;
};

}  // namespace

TEST_CASE("all requests of a batch are asked, so many at a time, and results come as they are there") {
  Lab lab;
  const Echo model;
  Collected got;
  const auto end = batch(lab.client(model), Texts{"slow", "b", "bad", "d"}, {.concurrency = 2}, std::ref(got));
  REQUIRE(end);
  CHECK(got.texts == Texts{"12:b", "23:invalid_request", "34:d", "01:slow"});
  CHECK(model.seen->most == 2);
  CHECK(end->done == 3);
  CHECK(end->failed == 1);
  CHECK(end->running == 0);
  CHECK(end->left == 0u);
  CHECK(end->complete);
  CHECK(end->elapsed == 10s);
  CHECK(lab.world.idle());
}

TEST_CASE("a batch takes no more requests from its source than it has calls for") {
  Lab lab;
  const Echo model;
  std::size_t given = 0;
  std::size_t results = 0;
  std::size_t most_ahead = 0;
  const BatchSource source{[&]() -> std::optional<BatchRequest> {
    if (given == 100) return std::nullopt;
    ++given;
    most_ahead = std::max(most_ahead, given - results);
    return BatchRequest{"", "hello"};
  }};
  const auto end = batch(lab.client(model), source, {.concurrency = 7}, [&](const BatchResult&) { ++results; });
  REQUIRE(end);
  CHECK(results == 100);
  CHECK(most_ahead <= 7);
  CHECK_FALSE(end->left);
  CHECK(end->elapsed == 15s);
}

TEST_CASE("progress is told after each result") {
  Lab lab;
  const Echo model{Target{"one", "a", {.price = Price{Money{}, Money::usd_per_million(1)}}}};
  std::vector<BatchProgress> told;
  REQUIRE(batch(lab.client(model), Texts{"a", "bad", "c", "d"},
                {.concurrency = 1, .on_progress = [&](const BatchProgress& now) { told.push_back(now); }}, {}));
  REQUIRE(told.size() == 4);
  CHECK(told[0].done == 1);
  CHECK(told[0].left == 3u);
  CHECK(told[0].spent == Money::usd_per_million(100));
  CHECK(told[1].failed == 1);
  CHECK(told[3].done == 3);
  CHECK(told[3].left == 0u);
  CHECK_FALSE(told[3].complete);
}

TEST_CASE("a second run with the same log sends only what is missing") {
  Lab lab;
  const Echo model;
  const TemporaryFile log;
  const BatchOptions options{.concurrency = 3, .log = log.path()};
  const std::vector<BatchRequest> first{{"x", "a"}, {"y", "bad"}};
  REQUIRE(batch(lab.client(model), first, options, {}));
  Collected got;
  const std::vector<BatchRequest> second{{"y", "now good"}, {"x", "a"}, {"z", "c"}};
  const auto end = batch(lab.client(model), second, options, std::ref(got));
  REQUIRE(end);
  CHECK(got.texts == Texts{"0y:now good", "2z:c"});
  CHECK(end->done == 3);
  CHECK(end->from_log == 1);
  CHECK(model.seen->sends == 4);
  CHECK_THAT(log.content(), ContainsSubstring(R"({"custom_id":"x","request_hash":")") &&
                                ContainsSubstring(R"(","ok":true,"text":"a")"));
  const std::string lines = log.content();
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 4);
}

TEST_CASE("an answer in the log is not taken for one to another request") {
  Lab lab;
  const Echo model;
  const TemporaryFile log;
  const BatchOptions options{.concurrency = 1, .log = log.path()};
  REQUIRE(batch(lab.client(model), Texts{"a", "b", "bad"}, options, {}));
  const std::string before = log.content();
  Collected got;
  std::string message;
  int told = 0;
  BatchOptions with_progress = options;
  with_progress.on_progress = [&](const BatchProgress& now) { told += static_cast<int>(now.failed); };
  const Texts changed{"a", "other", "good now"};
  const auto end = batch(lab.client(model), changed, with_progress, [&](const BatchResult& one) {
    got(one);
    if (!one.reply) message = one.reply.error().message;
  });
  REQUIRE(end);
  CHECK(got.texts == Texts{"12:invalid_request", "23:good now"});  // what has failed has no answer there
  CHECK(message == "the id 2 stands in the log " + log.path() + " with the answer to another request; give the request "
                   "an id of its own, or the batch another log");
  CHECK(end->from_log == 1);
  CHECK(end->done == 2);
  CHECK(end->failed == 1);
  CHECK(end->complete);
  CHECK(told == 2);
  CHECK(model.seen->sends == 4);
  REQUIRE(log.content().starts_with(before));
  const std::string added = log.content().substr(before.size());
  CHECK(std::count(added.begin(), added.end(), '\n') == 1);
  const auto again = batch(lab.client(model), Texts{"a", "b", "good now"}, options, {});
  REQUIRE(again);
  CHECK(again->from_log == 3);
}

TEST_CASE("the hash in a log is of what is asked, and the same in every build") {
  Lab lab;
  const Echo model;
  const TemporaryFile log;
  const BatchOptions options{.log = log.path()};
  ChatRequest request{"a"};
  request.max_output_tokens = 100;
  const auto from_log = [&] {
    const auto end = batch(lab.client(model), std::vector<ChatRequest>{request}, options, {});
    REQUIRE(end);
    return end->from_log == 1;
  };
  CHECK_FALSE(from_log());
  CHECK_THAT(log.content(), ContainsSubstring(R"({"custom_id":"1","request_hash":"77fb2a9c57f06944","ok":true,)"));
  request.metadata.user_id = "somebody else";
  request.headers = {{"x-request-id", "2"}};
  request.keep_raw = true;
  CHECK(from_log());
  request.temperature = 0.5;
  CHECK_FALSE(from_log());
  CHECK(model.seen->sends == 1);
}

TEST_CASE("a line of the log that was not written to its end does not count") {
  Lab lab;
  const Echo model;
  const TemporaryFile log{"{\"custom_id\":\"1\",\"ok\":true}\n{\"custom_id\":\"2\",\"ok\":tr"};
  const auto end = batch(lab.client(model), Texts{"a", "b"}, {.log = log.path()}, {});
  REQUIRE(end);
  CHECK(end->from_log == 1);
  CHECK(model.seen->sends == 1);
  const auto again = batch(lab.client(model), Texts{"a", "b"}, {.log = log.path()}, {});
  REQUIRE(again);
  CHECK(again->from_log == 2);
}

TEST_CASE("a log that is none, and ids that stand there twice, end the batch with the place") {
  Lab lab;
  const Echo model;
  const TemporaryFile other{"{\"custom_id\":\"1\",\"ok\":true}\nhello\n"};
  const auto wrong = batch(lab.client(model), Texts{"a"}, {.log = other.path()}, {});
  REQUIRE_FALSE(wrong);
  CHECK_THAT(wrong.error().message, ContainsSubstring(other.path() + ", line 2: "));
  const TemporaryFile prompts{"{\"custom_id\":\"1\",\"ok\":true}\nWhy is the sky blue?"};
  const auto kept = batch(lab.client(model), Texts{"a"}, {.log = prompts.path()}, {});
  REQUIRE_FALSE(kept);
  CHECK_THAT(kept.error().message, ContainsSubstring(prompts.path() + ", line 2: is no line of a batch's log"));
  CHECK(prompts.content() == "{\"custom_id\":\"1\",\"ok\":true}\nWhy is the sky blue?");
  CHECK_FALSE(batch(lab.client(model), Texts{"a"}, {.log = "/no/such/folder/log"}, {}));
  const TemporaryFile log;
  const std::vector<BatchRequest> twice{{"x", "a"}, {"x", "b"}};
  const auto repeated = batch(lab.client(model), twice, {.log = log.path()}, {});
  REQUIRE_FALSE(repeated);
  CHECK(repeated.error().message == "two requests of the batch have the id x");
  CHECK(lab.world.idle());
  CHECK_THROWS_AS(batch(lab.client(model), Texts{"a"}, {.concurrency = 0}, {}), std::invalid_argument);
  CHECK_THROWS_AS(batch(lab.client(model), Texts{"a"}, {.budget = Money::usd(-1)}, {}), std::invalid_argument);
}

TEST_CASE("a stop ends the calls of a batch that are under way, and no other begins") {
  Lab lab;
  const Echo model;
  std::stop_source source;
  lab.world.at(1500ms, [&] { source.request_stop(); });
  Collected got;
  const auto end = batch(lab.client(model), Texts{"a", "slow", "c", "d", "e"},
                         {.concurrency = 2, .call = {.stop = source.get_token()}}, std::ref(got));
  REQUIRE(end);
  CHECK_FALSE(end->complete);
  CHECK(end->done == 1);
  CHECK(end->failed == 2);
  CHECK(end->left == 2u);
  CHECK(model.seen->sends == 3);
  CHECK(lab.world.elapsed() == 1500ms);
}

TEST_CASE("what a callback of a batch throws goes to the caller, and nothing is left running") {
  Lab lab;
  const Echo model;
  CHECK_THROWS_AS(batch(lab.client(model), Texts(20, "a"), {.concurrency = 4},
                        [](const BatchResult&) { throw std::runtime_error{"no"}; }),
                  std::runtime_error);
  CHECK(lab.world.idle());
  CHECK(model.seen->sends == 4);
}

TEST_CASE("500 prompts under one budget spend at least 95 % of what fits, and not more") {
  struct Row {
    std::optional<std::int64_t> max_output_tokens;
    int concurrency;
  };
  for (const Row& row : {Row{200, 16}, Row{200, 1}, Row{100, 64}, Row{std::nullopt, 16}}) {
    CAPTURE(row.max_output_tokens, row.concurrency);
    Lab lab;
    const Price price{Money::usd_per_million(1), Money::usd_per_million(3)};
    const Target target{"one", "a", {.price = price, .max_output_tokens = 8000}};
    const Echo model{target};
    const Money each = Money::usd_per_million(400);  // 100 tokens in, 100 out
    const Money budget = Money::usd(0.05);
    ChatRequest request{std::string(396, 'x')};
    request.max_output_tokens = row.max_output_tokens;
    const std::vector<ChatRequest> requests(500, request);
    std::map<ErrorKind, int> kinds;
    const auto end = batch(lab.client(model), requests, {.concurrency = row.concurrency, .budget = budget},
                           [&](const BatchResult& one) { if (!one.reply) ++kinds[one.reply.error().kind]; });
    REQUIRE(end);
    const std::int64_t fit = budget.units() / each.units();
    CHECK(end->spent <= budget);
    CHECK(end->spent.usd() >= 0.95 * (each * fit).usd());
    CHECK(end->done * static_cast<std::size_t>(each.units()) == static_cast<std::size_t>(end->spent.units()));
    CHECK(end->done + end->failed == 500);
    CHECK(kinds.size() == 1);
    CHECK(kinds.begin()->first == ErrorKind::budget_exceeded);
  }
}

TEST_CASE("what earlier runs have spent counts against the budget of a batch") {
  Lab lab;
  const Echo model{Target{"one", "a", {.price = Price{Money{}, Money::usd_per_million(1)}}}};
  ChatRequest request{"a"};
  request.max_output_tokens = 100;
  const TemporaryFile log;
  const BatchOptions options{.budget = Money::usd_per_million(350), .log = log.path()};
  const auto first = batch(lab.client(model), std::vector<ChatRequest>(2, request), options, {});
  REQUIRE(first);
  CHECK(first->spent == Money::usd_per_million(200));
  const auto second = batch(lab.client(model), std::vector<ChatRequest>(5, request), options, {});
  REQUIRE(second);
  CHECK(second->done == 3);
  CHECK(second->spent == Money::usd_per_million(300));
  const BatchOptions nothing_left{.budget = Money{}, .log = log.path()};
  const auto third = batch(lab.client(model), std::vector<ChatRequest>(5, request), nothing_left, {});
  REQUIRE(third);
  CHECK(third->done == 3);
  CHECK(third->failed == 2);
}

TEST_CASE("a batch runs beside the background driver") {
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{});
  const FallbackClient client{ScriptedProvider{"one/a", {answer("hi")}}, options};
  for (int round = 0; round < 20; ++round) {
    std::size_t results = 0;
    const auto count = [&](const BatchResult& one) { results += one.reply ? 1 : 0; };
    REQUIRE(batch(client, Texts(50, "a"), {.concurrency = 8}, count));
    CHECK(results == 50);
  }
}

TEST_CASE("lines of OpenAI's batches, requests and plain prompts are read") {
  const auto open_ai = batch_request_from_line(
      R"({"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-5",)"
      R"( "n": 1, "stream": false, "max_completion_tokens": 20, "temperature": 0.5, "user": "u",)"
      R"( "metadata": {"team": "search"}, "messages": [{"role": "user", "content": "hi"}]}})");
  REQUIRE(open_ai);
  CHECK(open_ai->id == "r-1");
  CHECK(open_ai->request.max_output_tokens == 20);
  CHECK(open_ai->request.temperature == 0.5);
  CHECK(open_ai->request.metadata.user_id == "u");
  CHECK(open_ai->request.metadata.tags.at(0) == std::pair<std::string, std::string>{"team", "search"});
  CHECK(text_of(open_ai->request.messages.at(0).parts) == "hi");
  const auto own = batch_request_from_line(
      R"({"custom_id": "x", "messages": [{"role": "user", "content": "hi"}], "max_output_tokens": 3})");
  REQUIRE(own);
  CHECK(own->request.max_output_tokens == 3);
  const auto prompt = batch_request_from_line("Why did my pager go off?");
  REQUIRE(prompt);
  CHECK(text_of(prompt->request.messages.at(0).parts) == "Why did my pager go off?");
  using Row = std::pair<const char*, const char*>;
  for (const auto& [line, why] :
       {Row{R"({"custom_id": 7})", "custom_id must be a string"},
        Row{R"({"url": "/v1/embeddings", "body": {}})", "url must be /v1/chat/completions"},
        Row{R"({"body": {"messages": [{"role": "user", "content": "hi"}], "n": 2}})", "n"},
        Row{R"({"body": 3})", "body must be an object"}, Row{"{", "line 1"}, Row{" ", "empty"}}) {
    CAPTURE(line);
    const auto wrong = batch_request_from_line(line);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().kind == ErrorKind::invalid_request);
    CHECK_THAT(wrong.error().message, ContainsSubstring(why));
  }
}

TEST_CASE("a file of requests tells its size, and its first wrong line before anything is sent") {
  Lab lab;
  const TemporaryFile file{"one\r\n\n{\"messages\": [{\"role\": \"user\", \"content\": \"two\"}]}\nthree"};
  auto source = batch_file(file.path());
  REQUIRE(source);
  CHECK(source->size == 3u);
  Collected got;
  REQUIRE(batch(lab.client(Echo{}), *source, {.concurrency = 1}, std::ref(got)));
  CHECK(got.texts == Texts{"01:one", "12:two", "23:three"});
  const TemporaryFile wrong{"one\n\n{\"messages\": []}\n"};
  CHECK_THAT(batch_file(wrong.path()).error().message, ContainsSubstring(", line 3: "));
  CHECK_THAT(batch_file("/no/such/file").error().message, ContainsSubstring("/no/such/file: "));
}

TEST_CASE("a file of requests that changes into something else under a batch ends it, as what its source throws") {
  Lab lab;
  const TemporaryFile file{"one\n" + std::string(1 << 16, ' ') + "\n{\"messages\": []}\n"};
  std::ofstream{file.path(), std::ios::binary} << "one\n" + std::string(1 << 16, ' ') + "\ntwo and a half\n";
  auto source = batch_file(file.path());
  REQUIRE(source);
  std::ofstream{file.path(), std::ios::binary} << "one\n" + std::string(1 << 16, ' ') + "\n{\"messages\"\n";
  const Echo model;
  CHECK_THROWS_WITH(batch(lab.client(model), *source, {.concurrency = 1}, {}),
                    ContainsSubstring(file.path() + ": it has been changed: "));
  CHECK(model.seen->sends == 1);
  CHECK(lab.world.idle());
}

TEST_CASE("what is known of a cost that is not known whole counts against the budget of the next run") {
  Lab lab;
  const Price price{Money{}, Money::usd_per_million(1)};
  const Target priced{"one", "a", {.price = price}};
  const Echo model{priced};
  const TemporaryFile log{
      "{\"custom_id\":\"1\",\"ok\":true,\"cost_usd\":null,\"known_cost_usd\":0.0002}\n"
      "{\"custom_id\":\"2\",\"ok\":true,\"cost_usd\":0.0001}\n"};
  const auto end = batch(lab.client(model), Texts{"a", "b"}, {.log = log.path()}, {});
  REQUIRE(end);
  CHECK(end->spent == Money::usd_per_million(300));
  CHECK_FALSE(end->cost_known);

  // And so it is written.
  const Provider unpriced = ScriptedProvider{Target{"other", "b"}} | accept_if(length_between(100, 200));
  const TemporaryFile mixed;
  FallbackOptions options;
  options.recovery.max_wait = 0s;
  options.runtime = lab.world.share();
  const FallbackClient both{{unpriced, Provider{model}}, options};
  ChatRequest request{"a"};
  request.max_output_tokens = 100;
  const auto first = batch(both, std::vector<ChatRequest>(1, request), {.log = mixed.path()}, {});
  REQUIRE(first);
  CHECK(first->spent == Money::usd_per_million(100));
  CHECK_THAT(mixed.content(), ContainsSubstring("\"cost_usd\":null") &&
                                  ContainsSubstring("\"known_cost_usd\":0.0001"));
}

TEST_CASE("one batch at a time has a log") {
  Lab lab;
  const Echo model;
  const TemporaryFile log;
  const auto end = batch(lab.client(model), Texts{"a", "b"}, {.concurrency = 1, .log = log.path()}, [&](const auto&) {
    Lab other;
    const auto second = batch(other.client(model), Texts{"c"}, {.log = log.path()}, {});
    REQUIRE_FALSE(second);
    CHECK(second.error().message == "the log " + log.path() + " is in use by another batch");
  });
  REQUIRE(end);
  CHECK(end->done == 2);
  REQUIRE(batch(lab.client(model), Texts{"a", "b", "c"}, {.log = log.path()}, {}));
  CHECK(model.seen->sends == 3);
}

TEST_CASE("what a batch that was thrown out of has cost stands in its log") {
  Lab lab;
  const Echo model{Target{"one", "a", {.price = Price{Money::usd_per_million(1), Money{}}}}};
  const TemporaryFile log;
  int given = 0;
  const BatchSource source{[&]() -> std::optional<BatchRequest> {
    if (++given == 4) throw std::runtime_error{"no more"};
    return BatchRequest{"", ChatRequest{"slow"}};
  }, {}};
  CHECK_THROWS_AS(batch(lab.client(model), source, {.concurrency = 4, .log = log.path()}, {}), std::runtime_error);
  const std::string lines = log.content();
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 3);
  CHECK(lab.world.idle());
  const auto next = batch(lab.client(model), Texts{}, {.log = log.path()}, {});
  REQUIRE(next);
  CHECK(next->spent > Money{});
}

TEST_CASE("an id that is no UTF-8 is known again") {
  Lab lab;
  const Echo model;
  const TemporaryFile log;
  const std::vector<BatchRequest> one{{"a\xff", "q"}};
  Collected got;
  REQUIRE(batch(lab.client(model), one, {.log = log.path()}, std::ref(got)));
  CHECK(got.texts == Texts{"0a\xff:q"});
  REQUIRE(batch(lab.client(model), one, {.log = log.path()}, {}));
  CHECK(model.seen->sends == 1);
}

TEST_CASE("a log that cannot be read ends the batch before anything is sent") {
  Lab lab;
  const Echo model;
  const auto folder = batch(lab.client(model), Texts{"a"}, {.log = "."}, {});
  REQUIRE_FALSE(folder);
  CHECK_THAT(folder.error().message, ContainsSubstring("the log . cannot be opened: "));
  CHECK(model.seen->sends == 0);
}

}  // namespace batch_test
