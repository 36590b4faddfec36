#include "models.hpp"

#include <charconv>
#include <system_error>

namespace backstop::inline v0::detail {
namespace {

// "gpt-5.1-mini" is 5.1; 0 for what is no numbered GPT.
double gpt_version(std::string_view model) noexcept {
  if (!model.starts_with("gpt-")) return 0;
  model.remove_prefix(4);
  double version = 0;
  const auto [stop, problem] = std::from_chars(model.data(), model.data() + model.size(), version);
  return problem == std::errc{} ? version : 0;
}

}  // namespace

bool is_reasoning_model(std::string_view model) noexcept {
  if (const std::size_t slash = model.rfind('/'); slash != std::string_view::npos) model.remove_prefix(slash + 1);
  const bool o_series = model.size() >= 2 && model[0] == 'o' && model[1] >= '0' && model[1] <= '9';
  return o_series || (gpt_version(model) >= 5 && model.find("-chat") == std::string_view::npos);
}

bool takes_sampling(std::string_view model, const ChatRequest& request) noexcept {
  return !is_reasoning_model(model) || (request.reasoning_effort == "none" && gpt_version(model) >= 5.1);
}

}  // namespace backstop::inline v0::detail
