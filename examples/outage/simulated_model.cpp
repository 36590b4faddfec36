#include "simulated_model.hpp"

#include <cmath>
#include <string>
#include <utility>

using namespace backstop;
using namespace std::chrono_literals;

namespace {

constexpr int pieces = 6;
constexpr std::int64_t input_tokens = 800;
constexpr std::int64_t output_tokens = 300;
constexpr std::string_view piece_of_text = "fifty tokens of an answer, more or less; ";

enum class Fate : std::uint8_t { answer, refused, server_error, overloaded, rate_limited, silent, cut };

Fate draw(const Weather& weather, double chance) {
  const std::pair<Fate, double> fates[] = {{Fate::refused, weather.refused},
                                           {Fate::server_error, weather.server_error},
                                           {Fate::overloaded, weather.overloaded},
                                           {Fate::rate_limited, weather.rate_limited},
                                           {Fate::silent, weather.silent},
                                           {Fate::cut, weather.cut}};
  for (const auto& [fate, likelihood] : fates) {
    if (chance < likelihood) return fate;
    chance -= likelihood;
  }
  return Fate::answer;
}

/// Mostly near `median`, now and then several times longer.
Duration about(Duration median, double slowness, Runtime& runtime) {
  const double normal = std::sqrt(-2 * std::log(1 - runtime.random_unit())) *
                        std::cos(6.283185307179586 * runtime.random_unit());
  return std::chrono::round<Duration>(median * (slowness * std::exp(0.4 * normal)));
}

Error refusal(ErrorKind kind, int status, std::string message) {
  Error error{kind, std::move(message)};
  error.http_status = status;
  error.replay = ReplaySafety::not_sent;  // turned away at the door: nothing was generated, nothing is billed
  return error;
}

ModelFacts facts() {
  ModelFacts facts;
  facts.price = Price{.input = Money::usd_per_million(2.5), .output = Money::usd_per_million(10)};
  return facts;
}

}  // namespace

SimulatedModel::SimulatedModel(std::string_view name, int provider, std::shared_ptr<const Day> day, TimePoint midnight)
    : ModelProvider{Target{name, "model", facts()}}, provider_{provider}, day_{std::move(day)}, midnight_{midnight} {}

Task<Result<ChatResponse>> SimulatedModel::send(const ChatRequest&, CallContext& context) const {
  Runtime& runtime = context.runtime();
  AttemptProgress& progress = *context.progress();
  progress.network = true;  // the connection and the bytes are told to the time limits
  const Weather& weather = day_->weather(provider_, context.now() - midnight_);
  const Fate fate = draw(weather, runtime.random_unit());

  Sleep connecting = context.sleep(about(40ms, weather.slowness, runtime));
  auto connected = co_await connecting;
  if (!connected) co_return std::move(connected).error();
  if (fate == Fate::refused) co_return refusal(ErrorKind::connect_failed, 0, "connection refused");
  progress.connected = context.now();

  Sleep thinking = fate == Fate::silent ? context.sleep_until(TimePoint::max())
                                        : context.sleep(about(600ms, weather.slowness, runtime));
  auto thought = co_await thinking;
  if (!thought) co_return std::move(thought).error();
  progress.first_byte = progress.last_byte = context.now();
  if (fate == Fate::server_error) co_return refusal(ErrorKind::server_error, 500, "internal error");
  if (fate == Fate::overloaded) co_return refusal(ErrorKind::overloaded, 529, "overloaded");
  if (fate == Fate::rate_limited) {
    Error limited = refusal(ErrorKind::rate_limited, 429, "too many requests");
    limited.retry_after = std::chrono::seconds{15 + runtime.random() % 15};
    co_return limited;
  }

  std::string text;
  for (int piece = 0; piece < pieces; ++piece) {
    Sleep writing = context.sleep(about(600ms, weather.slowness, runtime));
    auto written = co_await writing;
    if (!written) co_return std::move(written).error();
    progress.last_byte = context.now();
    if (fate == Fate::cut && piece == pieces / 2) {
      Error cut{ErrorKind::stream_interrupted, "the connection was reset"};
      cut.replay = ReplaySafety::maybe_processed;
      cut.partial_text = text;
      co_return cut;
    }
    text += piece_of_text;
    if (!context.streaming()) continue;
    StreamEvent event;
    event.delta = piece_of_text;
    context.deliver(event);
  }
  ChatResponse response;
  response.parts.emplace_back(Text{std::move(text)});
  response.finish_reason = FinishReason::stop;
  response.usage.input_tokens = input_tokens;
  response.usage.output_tokens = output_tokens;
  co_return response;
}
