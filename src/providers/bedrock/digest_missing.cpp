// Only in builds without BACKSTOP_WITH_OPENSSL.

#include "digest.hpp"

namespace backstop::inline v0::detail {

bool has_digests() noexcept { return false; }

bool sha256(std::string_view, Digest&) noexcept { return false; }

bool hmac_sha256(std::string_view, std::string_view, Digest&) noexcept { return false; }

}  // namespace backstop::inline v0::detail
