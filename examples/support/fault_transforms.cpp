#include <map>
#include <mutex>
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
