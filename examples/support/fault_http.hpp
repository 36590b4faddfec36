#pragma once

#include <string>
#include <string_view>

#include "fault_request.hpp"

namespace backstop::faults {

/// Status line and headers, with the blank line after them.
[[nodiscard]] std::string response_head(int status, const HeaderList& headers);

/// A whole response with its `content-length`; `headers` come first.
[[nodiscard]] std::string whole_response(int status, HeaderList headers, std::string_view body);

/// Likewise with a JSON body and both wires' request id, unless `headers` (in lower case) say otherwise.
[[nodiscard]] std::string json_response(int status, HeaderList headers, std::string_view body);

/// The head of a stream of that media type in chunked transfer encoding.
[[nodiscard]] std::string stream_head(std::string_view type);

/// One chunk of chunked transfer encoding. An empty `data` gives the last chunk.
[[nodiscard]] std::string chunk(std::string_view data);

}  // namespace backstop::faults
