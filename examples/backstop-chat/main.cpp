// Asks a model from the command line, through a policy file or a list of targets: the library, tried by hand.

#include <atomic>
#include <cstdio>
#include <string_view>
#include <thread>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include <backstop/backstop.hpp>
#include <backstop/json.hpp>

#include "options.hpp"
#include "output.hpp"

using namespace backstop;

namespace {

constexpr int answered = 0;
constexpr int failed = 1;
constexpr int bad_usage_status = 2;

/// Says what a call does before its end.
class Progress final : public Observer {
 public:
  explicit Progress(CallOutput& output) noexcept : output_{&output} {}
  void on_progress(const ProgressEvent& event) noexcept override { output_->show(event); }

 private:
  CallOutput* output_;
};

/// The same request, again and again, several at once: breakers and budgets are the client's, so all share them.
class Calls {
 public:
  Calls(const FallbackClient& client, const ChatRequest& request, const Options& options)
      : client_{&client}, request_{&request}, options_{&options} {}

  /// Whether all were answered.
  [[nodiscard]] bool run() {
    std::vector<std::thread> others;
    for (int i = 1; i < std::min(options_->concurrency, options_->repeat); ++i) {
      others.emplace_back([this] { work(); });
    }
    work();
    for (std::thread& thread : others) thread.join();
    return all_answered_;
  }

 private:
  void work() {
    for (int number = next_++; number < options_->repeat; number = next_++) {
      std::this_thread::sleep_until(start_ + number * options_->interval);
      CallOutput output{*options_, printing_};
      const Result<ChatResponse> result = call(output);
      output.finish(result);
      if (!result) all_answered_ = false;
    }
  }

  Result<ChatResponse> call(CallOutput& output) const {
    CallOptions call;
    if (output.shows_progress()) call.observer = std::make_shared<Progress>(output);
    if (!options_->stream) return client_->chat(*request_, call);
    ChatStream stream = client_->stream(*request_, call);
    for (const StreamEvent& event : stream) output.show(event);
    return stream.result();
  }

  const FallbackClient* client_;
  const ChatRequest* request_;
  const Options* options_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::mutex printing_;
  std::atomic<int> next_{0};
  std::atomic<bool> all_answered_{true};
};

/// Answers go to standard output as they come; how far it is to standard error, on one line where that is a terminal.
class BatchOutput {
 public:
  explicit BatchOutput(bool json) : json_{json} {}

  void result(const BatchResult& one) {
    fmt::print(stderr, "{}", begin_);  // in place of how far it was
    if (json_) {
      nlohmann::ordered_json line{{"custom_id", one.id}};
      line.update(result_to_json(one.reply));
      fmt::print("{}\n", json_text(line));
    } else if (one.reply) {
      fmt::print("{}: {}\n", one.id, one.reply->text());
    }
    std::fflush(stdout);
    if (!one.reply) fmt::print(stderr, "{}: {}\n", one.id, one.reply.error());
  }
  void progress(const BatchProgress& now) {
    const bool on_terminal = !begin_.empty();
    if (!on_terminal && now.elapsed < next_) return;
    fmt::print(stderr, "{}{}{}", begin_, to_string(now), on_terminal ? "" : "\n");
    next_ = now.elapsed + std::chrono::seconds{1};
  }
  void end(const BatchProgress& end) const { fmt::print(stderr, "{}{}\n", begin_, to_string(end)); }

 private:
  bool json_;
  const std::string_view begin_ = isatty(STDERR_FILENO) != 0 ? "\r\x1b[K" : "";
  Duration next_{std::chrono::seconds{1}};
};

int refuse(const Error& error) {
  fmt::print(stderr, "backstop-chat: {}\n", error.message);
  return bad_usage_status;
}

int run_batch(const FallbackClient& client, const Options& options) {
  auto source = batch_file(options.batch_file);
  if (!source) return refuse(source.error());
  BatchOutput output{options.json};
  BatchOptions batch_options;
  if (options.concurrency > 0) batch_options.concurrency = options.concurrency;
  if (options.budget_usd) batch_options.budget = Money::usd(*options.budget_usd);
  batch_options.log = options.log_file;
  batch_options.on_progress = [&](const BatchProgress& now) { output.progress(now); };
  const auto end = batch(client, *std::move(source), batch_options,
                         [&](const BatchResult& one) { output.result(one); });
  if (!end) return refuse(end.error());
  output.end(*end);
  return end->failed == 0 ? answered : failed;
}

}  // namespace

int main(int argc, char** argv) {
  const Result<Options> options = parse_options({argv + 1, argv + argc});
  if (!options) {
    refuse(options.error());
    fmt::print(stderr, "\n{}", usage);
    return bad_usage_status;
  }
  if (options->help) {
    fmt::print("{}", usage);
    return answered;
  }
  const Result<FallbackClient> client = FallbackClient::from_config(options->config());
  if (!client) return refuse(client.error());
  if (!options->batch_file.empty()) return run_batch(*client, *options);
  const Result<ChatRequest> request = options->request();
  if (!request) return refuse(request.error());
  if (options->explain) {
    fmt::print("{}", plan_text(client->explain(*request), lint(*client), options->json));
    return answered;
  }
  return Calls{*client, *request, *options}.run() ? answered : failed;
}
