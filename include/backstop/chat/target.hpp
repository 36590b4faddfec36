#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backstop/chat/money.hpp"
#include "backstop/chat/parameters.hpp"
#include "backstop/export.hpp"

namespace backstop::inline v0 {

/// What tokens cost in a request whose input is longer than `above_input_tokens`: these prices then hold for all of
/// its tokens, not only for those above. A missing cache price means: as `input`.
struct PriceTier {
  std::int64_t above_input_tokens = 0;
  Money input{};
  Money output{};
  std::optional<Money> cache_read{};
  std::optional<Money> cache_write{};

  friend bool operator==(const PriceTier&, const PriceTier&) = default;
};

/// What one token costs. A missing cache price means: as `input`.
struct Price {
  Money input{};                         ///< per input token
  Money output{};                        ///< per output token, reasoning included
  std::optional<Money> cache_read{};     ///< per input token that the provider had in its prompt cache
  std::optional<Money> cache_write{};    ///< per input token written into that cache
  std::optional<PriceTier> long_input{};  ///< where long requests are dearer

  friend bool operator==(const Price&, const Price&) = default;
};

/// What a model can do with a request.
struct Capabilities {
  bool tools = true;
  bool vision = true;        ///< images in the conversation
  bool documents = true;     ///< files, such as PDF, in the conversation
  bool json_schema = true;   ///< structured output that the provider enforces
  bool reasoning = true;     ///< visible reasoning
  bool prefill = false;      ///< continues a conversation that ends with an assistant turn
  bool audio = true;         ///< recordings in the conversation

  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

/// Facts on a model, from the catalogue or the application. All may be unknown: limits are then not checked.
///
/// A request that goes to a target gets the target's own parameters first: they count in what it may cost, whether the
/// target is fit for it, and what is given up for it. What a ladder has taken out for it (`degrade`) they do not bring
/// back: an output limit that was lowered stays the lower one, reasoning that was given up is not asked for.
struct ModelFacts {
  std::optional<Price> price{};
  std::optional<std::int64_t> context_window{};     ///< tokens, input and output together
  std::optional<std::int64_t> max_output_tokens{};  ///< the most that the model writes in one answer
  Capabilities capabilities{};
  bool local = false;  ///< served by this machine, where the first byte may take minutes: the model is loaded first
  /// It thinks before it writes and does not send its thinking: its first token may take minutes.
  bool thinks_unseen = false;
  /// What it shares with other targets of the same name here: an account, a gateway, a region. When that fails for one
  /// of them, the others are not its fallback. Empty: nothing.
  std::string failure_domain{};
  Parameters defaults{};   ///< where a request says nothing
  Parameters overrides{};  ///< in place of what a request says

  friend bool operator==(const ModelFacts&, const ModelFacts&) = default;
};

/// Where a call can go: a provider and a model, written `provider/model`, with the facts known on the model.
///
/// A cheap immutable handle: copying it copies a pointer. Equality compares the names, not the facts.
/// Thread safety: const access from many threads.
class BACKSTOP_EXPORT Target {
 public:
  Target() noexcept = default;
  Target(std::string_view provider, std::string_view model, ModelFacts facts = {});

  /// Splits at the first slash, so that a model's name may contain more (`openrouter/meta-llama/llama-3.3-70b`).
  /// Without a slash the whole text is the model and the provider is empty.
  [[nodiscard]] static Target parse(std::string_view name);

  [[nodiscard]] std::string_view provider() const noexcept;
  [[nodiscard]] std::string_view model() const noexcept;
  [[nodiscard]] const std::string& name() const noexcept { return data().name; }  ///< `provider/model`
  [[nodiscard]] const ModelFacts& facts() const noexcept { return data().facts; }
  [[nodiscard]] bool empty() const noexcept { return data_ == nullptr; }

  friend bool operator==(const Target& a, const Target& b) noexcept {
    return a.data_ == b.data_ || a.name() == b.name();
  }

 private:
  struct Data {
    std::string name;
    std::size_t provider_size = 0;
    ModelFacts facts;
  };
  static const Data& none() noexcept;
  [[nodiscard]] const Data& data() const noexcept { return data_ ? *data_ : none(); }

  std::shared_ptr<const Data> data_;
};

}  // namespace backstop::inline v0
