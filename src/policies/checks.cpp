#include "backstop/policies/checks.hpp"

#include <stdexcept>
#include <utility>

#include "policies/check_node.hpp"

namespace backstop::inline v0 {
namespace detail {

Task<Result<Verdict>> CheckNode::ask(const Answer& answer, CallContext& context) const {
  static_cast<void>(context);
  co_return look(answer);
}

namespace {

/// `&&` and `||`: the second is asked only where the first does not decide.
class Pair final : public CheckNode {
 public:
  Pair(Check first, Check second, bool both) : first_{std::move(first)}, second_{std::move(second)}, both_{both} {}

  [[nodiscard]] std::string describe() const override {
    return in_brackets(first_.node(), binding()) + (both_ ? " && " : " || ") + in_brackets(second_.node(), binding());
  }
  [[nodiscard]] Binding binding() const noexcept override { return both_ ? Binding::both : Binding::either; }
  [[nodiscard]] Objection problem_with(const ChatRequest& request) const override {
    Objection problem = first_.node().problem_with(request);
    return problem ? problem : second_.node().problem_with(request);
  }
  [[nodiscard]] bool asks() const noexcept override { return first_.node().asks() || second_.node().asks(); }
  [[nodiscard]] Verdict look(const Answer& answer) const override {
    Verdict first = first_.node().look(answer);
    if (decides(first)) return first;
    return both_ ? second_.node().look(answer) : neither(std::move(first), second_.node().look(answer));
  }
  [[nodiscard]] Task<Result<Verdict>> ask(const Answer& answer, CallContext& context) const override {
    Task<Result<Verdict>> asked = first_.node().ask(answer, context);
    auto first = co_await asked;
    if (!first || decides(*first)) co_return first;
    Task<Result<Verdict>> asked_then = second_.node().ask(answer, context);
    auto second = co_await asked_then;
    if (!second || both_) co_return second;
    co_return neither(std::move(*first), std::move(*second));
  }

 private:
  [[nodiscard]] bool decides(const Verdict& first) const noexcept { return first.objection.has_value() == both_; }
  [[nodiscard]] static Verdict neither(Verdict first, Verdict second) {
    if (!second.objection) return second;
    first.objection->append(", and ").append(*second.objection);
    if (!second.quote.empty()) first.quote.append(first.quote.empty() ? "" : " ").append(second.quote);
    return first;
  }

  Check first_;
  Check second_;
  bool both_;
};

class Opposite final : public CheckNode {
 public:
  explicit Opposite(Check check) : check_{std::move(check)} {}

  [[nodiscard]] std::string describe() const override {
    return std::string{"!"}.append(in_brackets(check_.node(), Binding::alone));
  }
  [[nodiscard]] Objection problem_with(const ChatRequest& request) const override {
    return check_.node().problem_with(request);
  }
  [[nodiscard]] bool asks() const noexcept override { return check_.node().asks(); }
  [[nodiscard]] Verdict look(const Answer& answer) const override { return opposite(check_.node().look(answer)); }
  [[nodiscard]] Task<Result<Verdict>> ask(const Answer& answer, CallContext& context) const override {
    Task<Result<Verdict>> asked = check_.node().ask(answer, context);
    auto verdict = co_await asked;
    if (!verdict) co_return verdict;
    co_return opposite(std::move(*verdict));
  }

 private:
  [[nodiscard]] Verdict opposite(Verdict verdict) const {
    if (verdict.objection) return {};
    verdict.objection = "it is what it must not be: " + check_.describe();
    return verdict;
  }

  Check check_;
};

}  // namespace
}  // namespace detail

Check::Check(std::shared_ptr<const detail::CheckNode> node) : node_{std::move(node)} {
  if (!node_) throw std::invalid_argument{"Check: the check is null"};
}

std::string Check::describe() const { return node_->describe(); }

Check operator&&(const Check& first, const Check& second) {
  return Check{std::make_shared<const detail::Pair>(first, second, true)};
}

Check operator||(const Check& first, const Check& second) {
  return Check{std::make_shared<const detail::Pair>(first, second, false)};
}

Check operator!(const Check& check) { return Check{std::make_shared<const detail::Opposite>(check)}; }

}  // namespace backstop::inline v0
