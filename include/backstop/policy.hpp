#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "backstop/provider.hpp"

namespace backstop::inline v0 {

/// A recipe for wrapping providers: `provider | timeout(20s) | retry({.max_attempts = 2})`, read from the inside out.
///
/// Applied to two providers it makes two independent wrappers, so that each has a breaker of its own. What is meant to
/// be shared (a budget) is a handle that the application creates and passes to the policy's factory.
/// `a | b` is a policy that puts `a` on first and `b` around it. Copying is cheap.
class Policy {
 public:
  using Wrap = std::function<Provider(Provider)>;

  /// `description` is what `describe()` shows, such as "retry(max_attempts = 2)".
  Policy(std::string description, Wrap wrap)
      : description_{std::move(description)}, wrap_{std::make_shared<const Wrap>(std::move(wrap))} {}

  [[nodiscard]] const std::string& describe() const noexcept { return description_; }
  [[nodiscard]] Provider apply(Provider provider) const { return (*wrap_)(std::move(provider)); }

  friend Provider operator|(Provider provider, const Policy& policy) { return policy.apply(std::move(provider)); }
  friend Policy operator|(const Policy& inner, const Policy& outer) {
    return Policy{inner.description_ + " | " + outer.description_,
                  [inner, outer](Provider provider) { return outer.apply(inner.apply(std::move(provider))); }};
  }

 private:
  std::string description_;
  std::shared_ptr<const Wrap> wrap_;
};

/// Base of policies: a provider around another. Override `call`, and `standing` where the policy can refuse.
class Decorator : public ChatProvider {
 public:
  [[nodiscard]] const Target& target() const noexcept override { return *target_; }
  [[nodiscard]] std::string describe() const override { return next_.describe() + " | " + description_; }
  [[nodiscard]] Standing standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept override {
    return next_.standing(request, needs, now);
  }
  [[nodiscard]] detail::TargetStatistics* keep_statistics() const override { return next_.get().keep_statistics(); }
  /// Named by the description up to its options.
  [[nodiscard]] Layer layer() const override {
    Layer layer;
    layer.name = description_.substr(0, description_.find('('));
    layer.around = {&next_.get()};
    return layer;
  }

 protected:
  Decorator(Provider next, std::string description)
      : next_{std::move(next)}, target_{&next_.target()}, description_{std::move(description)} {}
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
