#include "backstop/policy.hpp"

namespace backstop::inline v0 {

Policy::Policy(std::string description, Wrap wrap)
    : description_{std::move(description)}, wrap_{std::make_shared<const Wrap>(std::move(wrap))} {}

Provider Policy::apply(Provider provider) const { return (*wrap_)(std::move(provider)); }

Provider operator|(Provider provider, const Policy& policy) { return policy.apply(std::move(provider)); }

Policy operator|(const Policy& inner, const Policy& outer) {
  return Policy{inner.description_ + " | " + outer.description_,
                [inner, outer](Provider provider) { return outer.apply(inner.apply(std::move(provider))); }};
}

Decorator::Decorator(Provider next, std::string description)
    : next_{std::move(next)}, target_{&next_.target()}, description_{std::move(description)} {}

std::string Decorator::describe() const { return next_.describe() + " | " + description_; }

Standing Decorator::standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept {
  return next_.standing(request, needs, now);
}

detail::TargetStatistics* Decorator::keep_statistics() const { return next_.get().keep_statistics(); }

Layer Decorator::layer() const {
  Layer layer;
  layer.name = description_.substr(0, description_.find('('));
  layer.around = {&next_.get()};
  return layer;
}

}  // namespace backstop::inline v0
