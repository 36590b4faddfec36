#include "backstop/config/config.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "config/degrade_block.hpp"
#include "config/document.hpp"
#include "config/fields.hpp"
#include "config/policy_blocks.hpp"
#include "config/group_reader.hpp"
#include "config/target_reader.hpp"
#include "json/file.hpp"

namespace backstop::inline v0 {
namespace detail {
namespace {

using namespace std::string_view_literals;

/// A policy being read: what is only known at its end.
struct Draft {
  Config config;
  std::string folder;  ///< names of other files start from there
  bool enabled = true;
  std::vector<Rung> allowed_degradation;
};

void read_mid_stream_name(const Setting& at, std::string_view accepted, MidStream& out) {
  constexpr std::array names{std::pair{"fail"sv, MidStream::fail}, std::pair{"restart"sv, MidStream::restart},
                             std::pair{"resume"sv, MidStream::resume}};
  set(out, read_name(at, names, accepted));
}

constexpr std::array hold_fields{
    Field<Draft>{"tokens", [](const Setting& at, Draft& out) { set(out.config.hold->tokens, at.tokens()); }},
    Field<Draft>{"time", [](const Setting& at, Draft& out) { set(out.config.hold->time, at.duration()); }},
    Field<Draft>{"then",
                 [](const Setting& at, Draft& out) {
                   read_mid_stream_name(at, R"("fail", "restart" or "resume")", out.config.mid_stream);
                 }},
};

constexpr std::array mid_stream_fields{
    Field<Draft>{"hold",
                 [](const Setting& at, Draft& out) {
                   out.config.hold.emplace();
                   read_fields(at, hold_fields, out);
                 }},
};

void read_mid_stream(const Setting& at, Draft& out) {
  if (at.is_object()) return read_fields(at, mid_stream_fields, out);
  constexpr std::string_view accepted =
      R"("fail", "restart", "resume" or {"hold": {"tokens": 40, "time": "800ms", "then": "restart"}})";
  read_mid_stream_name(at, accepted, out.config.mid_stream);
}

void read_catalog(const Setting& at, Draft& out) {
  const std::optional<std::string> name = at.text();
  if (!name) return;
  const std::string path = (std::filesystem::path{out.folder} / *name).string();
  Result<Catalog> catalog = load_catalog(path);
  if (!catalog) return at.complain("names a file of models: " + catalog.error().message);
  out.config.catalog = *std::move(catalog);
}

constexpr std::array policy_fields{
    Field<Draft>{"enabled", [](const Setting& at, Draft& out) { set(out.enabled, at.boolean()); }},
    Field<Draft>{"strategy"},
    Field<Draft>{"deadline", [](const Setting& at, Draft& out) { set(out.config.limits.deadline, at.duration()); }},
    Field<Draft>{"max_attempts",
                 [](const Setting& at, Draft& out) { set(out.config.limits.max_attempts, at.whole(1, 1000)); }},
    Field<Draft>{"mid_stream", read_mid_stream},
    Field<Draft>{"escalation"},
    Field<Draft>{"targets"},
    Field<Draft>{"catalog", read_catalog},
    Field<Draft>{"providers", [](const Setting& at, Draft&) { check_providers(at); }},
    Field<Draft>{"retry_on"},
    Field<Draft>{"max_retries"},
    Field<Draft>{"timeout"},
    Field<Draft>{"retry"},
    Field<Draft>{"circuit_breaker"},
    Field<Draft>{"cost_cap", [](const Setting& at, Draft& out) { read_spending(at, out.config.spending.emplace()); }},
    Field<Draft>{"rate_limit"},
    Field<Draft>{"probe"},
    Field<Draft>{"http"},
    Field<Draft>{"hedge", [](const Setting& at, Draft& out) { read_hedge(at, out.config); }},
    Field<Draft>{"recovery", [](const Setting& at, Draft& out) { read_recovery(at, out.config); }},
    Field<Draft>{"degrade", [](const Setting& at, Draft& out) { read_ladder(at, out.config.degrade); }},
    Field<Draft>{"degrade_early", [](const Setting& at, Draft& out) { set(out.config.degrade_early, at.boolean()); }},
    Field<Draft>{"allow_degradation",
                 [](const Setting& at, Draft& out) { read_allowed_degradation(at, out.allowed_degradation); }},
};

/// The ladder, by whichever form it was given.
void choose_ladder(const Setting& policy, Draft& draft) {
  Config& config = draft.config;
  if (policy["degrade"].present() && policy["allow_degradation"].present()) {
    return policy["allow_degradation"].complain("is the short form of `degrade`, which is given, too; give one of them");
  }
  if (!draft.allowed_degradation.empty()) config.degrade = std::move(draft.allowed_degradation);
  if (config.degrade_early && config.degrade.empty()) {
    policy["degrade_early"].complain("is true, and there is no ladder; give it one in `degrade`");
  }
}

/// Where more retries are asked for than there are by default, and nothing is said about the call, its own limit
/// leaves room for them after what the other targets may use up.
void make_room_for_retries(const Setting& policy, Config& config) {
  if (policy["max_attempts"].present()) return;
  for (const TargetConfig& target : config.targets) {
    if (target.retry.max_attempts <= RetryOptions{}.max_attempts) continue;
    const int others = static_cast<int>(config.targets.size()) - 1;
    config.limits.max_attempts = std::max(
        config.limits.max_attempts, target.retry.max_attempts + others * target.retry.max_attempts_with_fallback);
  }
}

Result<Config> read_config(std::string_view text, std::string folder) {
  const Result<nlohmann::ordered_json> document = parse_document(text);
  if (!document) return document.error();
  Problems problems;
  const Setting root{*document, problems};
  Draft draft;
  draft.folder = std::move(folder);
  if (!root.is_object() || !root["fallback_policy"].present()) {
    root["fallback_policy"].refuse("an object with `targets`");
  }
  for (const std::string& key : root.keys()) {
    if (key != "fallback_policy") root[key].complain("is not known; accepted here is fallback_policy");
  }
  const Setting policy = root["fallback_policy"];
  read_fields(policy, policy_fields, draft);
  choose_ladder(policy, draft);
  if (policy.is_object()) {
    read_group({policy}, draft.enabled, draft.config.catalog, draft.config.targets, draft.config.root);
  }
  if (!problems.empty()) return Error{ErrorKind::invalid_request, problems.text()};
  if (!draft.enabled) {
    draft.config.targets.resize(1);
    draft.config.root = {.strategy = ordered()};
  }
  make_room_for_retries(policy, draft.config);
  return std::move(draft.config);
}

}  // namespace
}  // namespace detail

Result<Config> parse_config(std::string_view text) { return detail::read_config(text, {}); }

Result<Config> load_config(const std::string& path) {
  const Result<std::string> text = detail::read_file(path, detail::largest_policy_file);
  const std::string folder = std::filesystem::path{path}.parent_path().string();
  Result<Config> config = text ? detail::read_config(*text, folder) : Result<Config>{text.error()};
  if (!config) config.error().message = fmt::format("{}: {}", path, config.error().message);
  return config;
}

}  // namespace backstop::inline v0
