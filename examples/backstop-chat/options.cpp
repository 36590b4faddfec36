#include "options.hpp"

#include <charconv>
#include <fstream>
#include <iostream>
#include <optional>

#include <backstop/json.hpp>

using namespace backstop;

const std::string_view usage = R"(backstop-chat asks a model, and another one when that fails.

  backstop-chat [--policy FILE | --target PROVIDER/MODEL[@BASE_URL]]... [--request FILE | PROMPT]
                [--stream] [--json] [--explain] [--repeat N --concurrency N --interval 250ms]
  backstop-chat [--policy FILE | --target ...]... --batch FILE [--log FILE] [--budget USD] [--concurrency N] [--json]

  --policy FILE         the targets and their policies, as JSON
  --target TARGET       a target; given again, the next one to try
  --request FILE        the request as JSON; "-" reads standard input
  --stream              the answer as it arrives
  --json                one JSON object per call (with --stream after one line per event)
  --explain             what would happen; nothing is sent
  --repeat N            the same request so many times
  --concurrency N       so many at once
  --interval DURATION   one starts every so often
  --batch FILE          a request a line: a prompt, a request as JSON, or a line of OpenAI's batches; what begins
                        with "{" must be JSON
  --log FILE            the answers, a JSON object a line; what has one there is not sent again, and another
                        request under the id of one that has is an error (without custom_id the line's number)
  --budget USD          for the whole batch, earlier runs with the same log included; 0: targets that cost nothing

Keys come from the environment (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...).
Exit status: 0 answered, 1 failed, 2 bad usage or a bad policy file.
)";

namespace {

using Problem = std::optional<std::string>;

Error bad_usage(std::string message) { return Error{ErrorKind::invalid_request, std::move(message)}; }

Problem count_into(int& out, std::string_view value, int most) {
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
  if (error == std::errc{} && end == value.data() + value.size() && out >= 1 && out <= most) return std::nullopt;
  return fmt::format("is \"{}\"; it must be a whole number from 1 to {}", value, most);
}

/// PROVIDER/MODEL[@BASE_URL]; a model's name may hold slashes and at signs of its own.
Problem add_target(Options& options, std::string_view value) {
  TargetConfig target;
  for (const std::string_view scheme : {"@http://", "@https://"}) {
    const std::size_t at = value.find(scheme);
    if (at == std::string_view::npos) continue;
    target.model.base_url = value.substr(at + 1);
    value = value.substr(0, at);
  }
  const std::size_t slash = value.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == value.size()) {
    return fmt::format("is \"{}\"; it must be PROVIDER/MODEL or PROVIDER/MODEL@http://...", value);
  }
  target.model.name = value.substr(0, slash);
  target.model.model = value.substr(slash + 1);
  options.targets.push_back(std::move(target));
  return std::nullopt;
}

Problem set_once(std::string& out, std::string_view value) {
  if (value.empty()) return "must not be empty";
  if (!out.empty()) return "is given twice";
  out = value;
  return std::nullopt;
}

Problem set_budget(Options& options, std::string_view value) {
  double usd = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), usd);
  const bool whole = error == std::errc{} && end == value.data() + value.size();
  if (!whole || !(usd >= 0 && usd <= 1e6)) {
    return fmt::format("is \"{}\"; it must be a number of dollars from 0 to 1000000, such as 0.50", value);
  }
  options.budget_usd = usd;
  return std::nullopt;
}

Problem set_interval(Options& options, std::string_view value) {
  const auto interval = duration_from(value);
  if (!interval) return fmt::format("is \"{}\"; it must be {}", value, duration_forms);
  options.interval = *interval;
  return std::nullopt;
}

struct Flag {
  std::string_view name;
  bool Options::*flag;
};
constexpr Flag flags[] = {{"--stream", &Options::stream}, {"--json", &Options::json},
                          {"--explain", &Options::explain}, {"--help", &Options::help}};

struct Setting {
  std::string_view name;
  Problem (*set)(Options& options, std::string_view value);
};
constexpr int most_calls = 1'000'000;
constexpr int most_threads = 256;
constexpr Setting settings[] = {
    {"--policy", [](Options& options, std::string_view value) { return set_once(options.policy_file, value); }},
    {"--target", add_target},
    {"--request", [](Options& options, std::string_view value) { return set_once(options.request_file, value); }},
    {"--repeat",
     [](Options& options, std::string_view value) { return count_into(options.repeat, value, most_calls); }},
    {"--concurrency",
     [](Options& options, std::string_view value) { return count_into(options.concurrency, value, most_threads); }},
    {"--interval", set_interval},
    {"--batch", [](Options& options, std::string_view value) { return set_once(options.batch_file, value); }},
    {"--log", [](Options& options, std::string_view value) { return set_once(options.log_file, value); }},
    {"--budget", set_budget},
};

template <class Row, std::size_t count>
const Row* find(const Row (&rows)[count], std::string_view name) {
  for (const Row& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

Problem contradiction(const Options& options) {
  if (options.policy_file.empty() && options.targets.empty()) return "--policy or --target is needed";
  if (!options.policy_file.empty() && !options.targets.empty()) return "--policy and --target exclude each other";
  if (!options.batch_file.empty()) {
    const bool one = !options.request_file.empty() || !options.prompt.empty();
    const bool repeats = options.repeat > 1 || options.interval > Duration::zero();
    const bool another_way = options.stream || options.explain || repeats;
    if (one) return "--batch has the requests; it excludes --request and a prompt";
    if (another_way) return "--batch excludes --stream, --explain, --repeat and --interval";
    return std::nullopt;
  }
  if (!options.log_file.empty() || options.budget_usd) return "--log and --budget go with --batch";
  if (options.request_file.empty() && options.prompt.empty()) return "--request or a prompt is needed";
  if (!options.request_file.empty() && !options.prompt.empty()) return "--request and a prompt exclude each other";
  return std::nullopt;
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string_view>& arguments) {
  Options options;
  bool only_prompt = false;  // after "--"
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (only_prompt || !argument.starts_with("-")) {
      if (Problem problem = set_once(options.prompt, argument)) return bad_usage("the prompt " + *problem);
    } else if (argument == "--") {
      only_prompt = true;
    } else if (const Flag* flag = find(flags, argument)) {
      options.*(flag->flag) = true;
    } else if (const Setting* setting = find(settings, argument)) {
      if (++i == arguments.size()) return bad_usage(fmt::format("{} needs a value", argument));
      if (Problem problem = setting->set(options, arguments[i])) {
        return bad_usage(fmt::format("{} {}", argument, *problem));
      }
    } else {
      return bad_usage(fmt::format("{} is not known", argument));
    }
  }
  if (options.help) return options;
  if (Problem problem = contradiction(options)) return bad_usage(*std::move(problem));
  return options;
}

Result<Config> Options::config() const {
  if (!policy_file.empty()) return load_config(policy_file);
  Config config;
  config.targets = targets;
  return config;
}

Result<ChatRequest> Options::request() const {
  if (request_file.empty()) return ChatRequest{prompt};
  std::ifstream file;
  if (request_file != "-") file.open(request_file, std::ios::binary);
  std::istream& in = request_file == "-" ? std::cin : file;
  std::string text;
  char block[4096];
  while (in.read(block, sizeof block) || in.gcount() > 0) text.append(block, static_cast<std::size_t>(in.gcount()));
  if (in.bad() || (request_file != "-" && !file.is_open())) return bad_usage(request_file + ": cannot be read");
  Result<ChatRequest> request = request_from_text(text);
  if (!request) request.error().message = request_file + ": " + request.error().message;
  return request;
}
