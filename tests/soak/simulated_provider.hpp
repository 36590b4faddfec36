#pragma once

#include <string>
#include <string_view>

#include "backstop/provider.hpp"

/// A model that takes its time: three pieces of an answer, each after a wait drawn from the runtime's random numbers.
/// It keeps nothing of what was sent, so that a million calls need no memory.
class SimulatedProvider final : public backstop::ModelProvider {
 public:
  SimulatedProvider(std::string_view name, backstop::Duration longest_wait)
      : ModelProvider{backstop::Target{name, "m", priced()}}, longest_wait_{longest_wait} {}

 protected:
  backstop::Task<backstop::Result<backstop::ChatResponse>> send(const backstop::ChatRequest&,
                                                                backstop::CallContext& context) const override {
    backstop::ChatResponse response;
    std::string& text = std::get<backstop::Text>(response.parts.emplace_back(backstop::Text{})).text;
    for (int piece = 0; piece < 3; ++piece) {
      backstop::Sleep writing = context.sleep(
          std::chrono::duration_cast<backstop::Duration>(longest_wait_ * context.runtime().random_unit()));
      auto written = co_await writing;
      if (!written) co_return std::move(written).error();
      text += "word ";
      if (!context.streaming()) continue;
      backstop::StreamEvent event;
      event.delta = "word ";
      context.deliver(event);
    }
    response.finish_reason = backstop::FinishReason::stop;
    response.usage.input_tokens = 10;
    response.usage.output_tokens = 3;
    co_return response;
  }

 private:
  static backstop::ModelFacts priced() {
    backstop::ModelFacts facts;
    facts.price = backstop::Price{.input = backstop::Money::usd_per_million(1),
                                  .output = backstop::Money::usd_per_million(2)};
    return facts;
  }

  backstop::Duration longest_wait_;
};
