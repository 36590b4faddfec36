#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "backstop/chat/request.hpp"
#include "backstop/chat/target.hpp"

namespace backstop::inline v0 {

/// One HTTP exchange with a provider. The values of keys are `***` in all of it.
struct WireEvent {
  enum class Type : std::uint8_t {
    request,   ///< goes out now
    response,  ///< has come, or broke off, or was given up
  };

  Type type = Type::request;
  std::uint64_t number = 0;  ///< the same for a request and its response; others of the runtime have others
  const Target& target;
  std::string_view method{};
  std::string_view url{};
  int status = 0;  ///< with `response`; 0: no head has come
  const std::vector<Header>& headers;  ///< of the request, or of the response
  std::string_view body{};             ///< as far as it has come and the log has room for it; decoded
  std::size_t body_size = 0;           ///< of the whole body, as far as it has come
  std::chrono::nanoseconds elapsed{0};  ///< with `response`: since the request
};

/// Who is told what goes over the wire, to find out why a server answers as it does.
struct WireLog {
  /// Runs on the thread that drives the runtime and must not block; an exception out of it is dropped. Unset: nobody is
  /// told, and nothing is kept.
  std::function<void(const WireEvent&)> write{};
  bool bodies = false;  ///< prompts and answers, too: without, `WireEvent::body` is empty
  std::size_t largest_body = std::size_t{64} * 1024;  ///< bytes of each that are kept
};

}  // namespace backstop::inline v0
