#pragma once

#include <backstop/provider.hpp>

#include <memory>
#include <string_view>

#include "day.hpp"

/// A model that lives through a `Day`: streams an answer of 300 tokens in about four seconds, or fails as the weather
/// wants it. A provider of one's own that sends derives from `ModelProvider`: the ledger and the price are seen to there.
class SimulatedModel final : public backstop::ModelProvider {
 public:
  SimulatedModel(std::string_view name, int provider, std::shared_ptr<const Day> day, backstop::TimePoint midnight);

 protected:
  backstop::Task<backstop::Result<backstop::ChatResponse>> send(const backstop::ChatRequest& request,
                                                                backstop::CallContext& context) const override;

 private:
  int provider_;
  std::shared_ptr<const Day> day_;
  backstop::TimePoint midnight_;
};
