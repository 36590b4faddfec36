#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

#include "backstop/runtime/http_options.hpp"

namespace backstop::inline v0::detail {

struct CurlListCloser {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, CurlListCloser>;

/// Throws std::bad_alloc, or std::runtime_error where libcurl refuses the option.
void check_option(CURLcode code);
template <class Value>
void set_option(CURL* easy, CURLoption option, Value value) {
  check_option(curl_easy_setopt(easy, option, value));
}
void append(CurlList& list, const char* line);

/// The target's options, with the runtime's where it has none.
[[nodiscard]] HttpOptions merged(HttpOptions of_runtime, const HttpOptions& of_target);

/// `HttpOptions::resolve` as libcurl has it: the options' own list, which outlives the handles.
[[nodiscard]] CurlList resolutions(const HttpOptions& options);
/// Everything that concerns a single connection.
void apply(CURL* easy, const HttpOptions& options, curl_slist* resolutions);

/// Which setting a failure to connect is about, and what it should be; empty where none is.
[[nodiscard]] std::string advice(CURLcode code, const HttpOptions& options);

}  // namespace backstop::inline v0::detail
