#pragma once

#include <functional>
#include <utility>

#include "backstop/policy.hpp"

/// A policy that changes the context for what is below it, as a fallback client or a policy of the user's own would.
class ContextEdit final : public backstop::Decorator {
 public:
  using Edit = std::function<void(backstop::CallContext&)>;

  ContextEdit(backstop::Provider next, Edit edit)
      : Decorator{std::move(next), "context_edit"}, edit_{std::move(edit)} {}

  backstop::Task<backstop::Result<backstop::ChatResponse>> call(const backstop::ChatRequest& request,
                                                                backstop::CallContext& context) const override {
    backstop::CallContext inner = context;
    edit_(inner);
    auto result = co_await next().call(request, inner);
    co_return result;
  }

 private:
  Edit edit_;
};

[[nodiscard]] inline backstop::Policy edit_context(ContextEdit::Edit edit) {
  return backstop::Policy{"context_edit", [edit = std::move(edit)](backstop::Provider next) {
                            return backstop::Provider{std::make_shared<const ContextEdit>(std::move(next), edit)};
                          }};
}
