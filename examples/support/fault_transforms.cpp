#include <array>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "fault_behaviour.hpp"

namespace backstop::faults {
namespace {

/// A behaviour whose script is made from another's.
Behaviour transformed(std::string name, Behaviour inner, std::function<Script(const Script&)> change) {
  return {name + " " + inner.name,
          [make = std::move(inner.script), change = std::move(change)](const ReceivedRequest& request) {
            return std::make_shared<const Script>(change(*make(request)));
          },
          inner.at_accept};
}

// The same script, its first response with these headers right after the status line.
Script headed(Script script, const HeaderList& headers) {
  for (auto& step : script.steps) {
    auto* send = std::get_if<Send>(&step);
    if (!send || !send->bytes.starts_with("HTTP/")) continue;
    std::string lines;
    for (const auto& [name, value] : headers) lines.append(name).append(": ").append(value).append("\r\n");
    send->bytes.insert(send->bytes.find("\r\n") + 2, lines);
    break;
  }
  return script;
}

std::string date_after(std::chrono::seconds span) {
  const std::time_t at = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() + span);
  std::tm parts{};
  gmtime_r(&at, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

HeaderList limit_headers(Wire wire, const std::string& what, const ToldLimit& told) {
  const auto name = [&](const char* field) {
    return wire == Wire::anthropic ? "anthropic-ratelimit-" + what + "-" + field
                                   : "x-ratelimit-" + (field + ("-" + what));
  };
  const auto seconds = told.reset_after.count();
  const auto span = std::to_string(seconds / 60) + "m" + std::to_string(seconds % 60) + "s";
  return {{name("limit"), std::to_string(told.limit)},
          {name("remaining"), std::to_string(told.remaining)},
          {name("reset"), wire == Wire::anthropic ? date_after(told.reset_after) : span}};
}

}  // namespace

Behaviour slow_headers(std::chrono::milliseconds delay, Behaviour inner) {
  return transformed("slow_headers", std::move(inner), [delay](const Script& script) {
    Script slow;
    slow.repeat_from = script.repeat_from;
    slow.steps.emplace_back(Pause{delay});
    slow.steps.insert(slow.steps.end(), script.steps.begin(), script.steps.end());
    if (slow.repeat_from) ++*slow.repeat_from;
    return slow;
  });
}

Behaviour with_headers(HeaderList headers, Behaviour inner) {
  return transformed("with_headers", std::move(inner),
                     [headers = std::move(headers)](const Script& script) { return headed(script, headers); });
}

Behaviour with_rate_limits(ToldLimit requests, ToldLimit tokens, Behaviour inner) {
  return {"with_rate_limits " + inner.name, [=, make = std::move(inner.script)](const ReceivedRequest& request) {
            const Wire wire = request.wire().value_or(Wire::openai);
            HeaderList headers = limit_headers(wire, "requests", requests);
            for (auto& header : limit_headers(wire, "tokens", tokens)) headers.push_back(std::move(header));
            return std::make_shared<const Script>(headed(*make(request), headers));
          }};
}

Behaviour down_for(std::chrono::milliseconds span, Behaviour down, Behaviour up) {
  using SteadyClock = std::chrono::steady_clock;
  auto since = std::make_shared<std::optional<SteadyClock::time_point>>();  // behaviours run on the server's thread
  return {"down_for " + down.name,
          [=, bad = std::move(down.script), good = std::move(up.script)](const ReceivedRequest& request) {
            const auto now = SteadyClock::now();
            if (!*since) *since = now;
            return now - **since < span ? bad(request) : good(request);
          }};
}

Behaviour dribble(Behaviour inner, std::chrono::milliseconds pause) {
  return transformed("dribble", std::move(inner), [pause](const Script& script) {
    Script slow;
    for (std::size_t i = 0; i < script.steps.size(); ++i) {
      if (script.repeat_from == i) slow.repeat_from = slow.steps.size();
      const auto* send = std::get_if<Send>(&script.steps[i]);
      if (!send) {
        slow.steps.push_back(script.steps[i]);
        continue;
      }
      for (const char byte : send->bytes) {
        slow.steps.emplace_back(Send{std::string(1, byte)});
        if (pause.count() > 0) slow.steps.emplace_back(Pause{pause});
      }
    }
    return slow;
  });
}

Behaviour coalesced(Behaviour inner) {
  return transformed("coalesced", std::move(inner), [](const Script& script) {
    Script merged;
    for (std::size_t i = 0; i < script.steps.size(); ++i) {
      const bool starts_loop = script.repeat_from == i;
      if (starts_loop) merged.repeat_from = merged.steps.size();
      const auto* send = std::get_if<Send>(&script.steps[i]);
      auto* last = merged.steps.empty() || starts_loop ? nullptr : std::get_if<Send>(&merged.steps.back());
      if (send && last) {
        last->bytes += send->bytes;
      } else {
        merged.steps.push_back(script.steps[i]);
      }
    }
    return merged;
  });
}

Behaviour memoised(Behaviour inner) {
  struct Memo {
    std::mutex mutex;
    std::map<std::pair<std::string, bool>, std::shared_ptr<const Script>> scripts;
  };
  return {"memoised " + inner.name,
          [make = std::move(inner.script), memo = std::make_shared<Memo>()](const ReceivedRequest& request) {
            // A look at the text: parsing each body would cost more than the rest of the server.
            const bool stream = request.body.find("\"stream\":true") != std::string::npos ||
                                request.body.find("\"stream\": true") != std::string::npos;
            const std::lock_guard lock{memo->mutex};
            auto& script = memo->scripts[{request.path, stream}];
            if (!script) script = make(request);
            return script;
          }};
}

}  // namespace backstop::faults
