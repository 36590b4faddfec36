#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "backstop/export.hpp"
#include "backstop/provider.hpp"

namespace backstop::inline v0 {

/// A recipe for wrapping providers: `provider | timeout(20s) | retry({.max_attempts = 2})`, read from the inside out.
///
/// Applied to two providers it makes two independent wrappers, so that each has a breaker of its own. What is meant to
/// be shared (a budget) is a handle that the application creates and passes to the policy's factory.
/// `a | b` is a policy that puts `a` on first and `b` around it. Copying is cheap.
class BACKSTOP_EXPORT Policy {
 public:
  using Wrap = std::function<Provider(Provider)>;

  /// `description` is what `describe()` shows, such as "retry(max_attempts = 2)".
  Policy(std::string description, Wrap wrap);

  [[nodiscard]] const std::string& describe() const noexcept { return description_; }
  [[nodiscard]] Provider apply(Provider provider) const;

  BACKSTOP_EXPORT friend Provider operator|(Provider provider, const Policy& policy);
  BACKSTOP_EXPORT friend Policy operator|(const Policy& inner, const Policy& outer);

 private:
  std::string description_;
  std::shared_ptr<const Wrap> wrap_;
};

/// Base of policies: a provider around another. Override `call`, and `standing` where the policy can refuse.
class BACKSTOP_EXPORT Decorator : public ChatProvider {
 public:
  [[nodiscard]] const Target& target() const noexcept override { return *target_; }
  [[nodiscard]] std::string describe() const override;
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override;
  [[nodiscard]] detail::TargetStatistics* keep_statistics() const override;
  /// Named by the description up to its options.
  [[nodiscard]] Layer layer() const override;

 protected:
  Decorator(Provider next, std::string description);
  [[nodiscard]] const Provider& next() const noexcept { return next_; }

 private:
  Provider next_;
  const Target* target_;  // of the innermost, so that asking for it does not go through all layers
  std::string description_;
};

/// A policy whose wrapper is `Wrapper{next, options..., description}`; what the factories are made with.
template <class Wrapper, class... Options>
[[nodiscard]] Policy make_policy(std::string description, Options... options) {
  Policy::Wrap wrap = [description, ... options = std::move(options)](Provider next) {
    return Provider{std::make_shared<const Wrapper>(std::move(next), options..., description)};
  };
  return Policy{std::move(description), std::move(wrap)};
}

}  // namespace backstop::inline v0
