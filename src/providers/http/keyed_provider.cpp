#include "keyed_provider.hpp"

#include <fmt/format.h>

#include <utility>

namespace backstop::inline v0::detail {
namespace {

// Whether the failure is the key's, so that another one may fare better.
bool is_of_the_key(const Error& error) noexcept {
  switch (error.cause.value_or(error.kind)) {
    case ErrorKind::rate_limited:
    case ErrorKind::quota_exhausted:
    case ErrorKind::authentication:
    case ErrorKind::permission:
      return true;
    default:
      return false;
  }
}

}  // namespace

KeyedProvider::KeyedProvider(Credentials credentials, std::vector<std::unique_ptr<const ChatProvider>> by_key)
    : credentials_{std::move(credentials)}, ring_{&KeyRing::of(credentials_)}, by_key_{std::move(by_key)} {}

Task<Result<ChatResponse>> KeyedProvider::call(const ChatRequest& request, CallContext& context) const {
  const std::size_t first = ring_->current();
  const std::size_t count = ring_->size();
  std::optional<Error> failure;
  for (std::size_t step = 0; step < count; ++step) {
    const std::size_t index = (first + step) % count;
    Cooldown& cooldown = ring_->cooldown(index);
    if (cooldown.active(context.now())) continue;
    auto result = co_await by_key_[index]->call(request, context);
    if (result) {
      cooldown.note_success();
      co_return result;
    }
    Error& error = result.error();
    if (!is_of_the_key(error)) co_return result;
    cooldown.note(error, context.now(), context.hint().cooldown_max);
    ring_->pass_on(index);
    if (context.stopping() || context.committed()) co_return result;
    // A key that only waits says more of the target than one that is dead.
    if (!failure || error.kind == ErrorKind::rate_limited) failure = std::move(error);
    if (context.spare_sends() <= 0) break;
  }
  if (failure) co_return for_all_keys(std::move(*failure), context.now());

  const auto soonest = ring_->none_ready(context.now());
  if (soonest && !context.hint().forced_probe) {
    Error error = all_out(*soonest, context.now());
    context.note_skipped(target(), error);
    co_return error;
  }
  // Every target is out: the key that recovers first finds out whether it has already.
  const std::size_t index = soonest ? soonest->index : first;
  Cooldown& cooldown = ring_->cooldown(index);
  auto probed = co_await by_key_[index]->call(request, context);
  if (probed) {
    cooldown.clear();
  } else if (is_of_the_key(probed.error())) {
    cooldown.note(probed.error(), context.now(), context.hint().cooldown_max);
  }
  co_return probed;
}

// The target is not dead because one of its keys is: the error speaks of the key that is ready first.
Error KeyedProvider::for_all_keys(Error error, TimePoint now) const {
  if (const auto soonest = ring_->none_ready(now)) {
    error.kind = soonest->resting.why;
    error.retry_after = soonest->resting.until - now;
  } else if (error.kind != ErrorKind::rate_limited) {
    error.kind = ErrorKind::local_limit;
    error.message = "a key was refused, and the call's other sends are kept for other targets: " + error.message;
  }
  return error;
}

Error KeyedProvider::all_out(const KeyRing::Soonest& soonest, TimePoint now) const {
  Error error{ErrorKind::local_limit, fmt::format("none of the {} keys is ready; the first rests after {}",
                                                  ring_->size(), to_string(soonest.resting.why))};
  error.target = target();
  error.retry_after = soonest.resting.until - now;
  return error;
}

std::string KeyedProvider::describe() const { return fmt::format("{} ({} keys)", target().name(), ring_->size()); }

Standing KeyedProvider::standing(const ChatRequest& request, const Needs& needs, TimePoint now) const noexcept {
  std::optional<Standing> best;
  for (std::size_t index = 0; index < by_key_.size(); ++index) {
    Standing standing = by_key_[index]->standing(request, needs, now);
    const auto resting = ring_->cooldown(index).active(now);
    if (resting && standing.fit() && (standing.ready() || standing.ready_at < resting->until)) {
      standing.verdict = Standing::Verdict::later;
      standing.why = ErrorKind::local_limit;
      standing.what = "none of the keys is ready";
      standing.ready_at = resting->until;
      standing.probe = Standing::Probe::never;
    }
    best = best ? Standing::of_either(*best, standing) : standing;
  }
  best->targets = 1;
  best->ready_targets = best->ready() ? 1 : 0;
  return *best;
}

Layer KeyedProvider::layer() const {
  Layer layer;
  layer.name = "model";  // to the layers around it that is what it is
  layer.model = true;
  layer.sends = static_cast<int>(ring_->size());
  return layer;
}

}  // namespace backstop::inline v0::detail
