#pragma once

#include <functional>
#include <string>

#include "fault_script.hpp"

namespace backstop::faults {

/// A request for people, on one line: method, path, model, whether it is streamed, and how many messages it has. Its
/// headers, its query and what it says do not stand there, and so no key does.
[[nodiscard]] std::string line_of(const ReceivedRequest& request);

/// Tells `print` of each request, on the server's thread, before it is answered as by `inner`.
[[nodiscard]] Behaviour logged(std::function<void(const std::string&)> print, Behaviour inner);

}  // namespace backstop::faults
