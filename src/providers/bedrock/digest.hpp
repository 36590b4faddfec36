#pragma once

#include <array>
#include <string_view>

namespace backstop::inline v0::detail {

/// Of SHA-256, as bytes.
using Digest = std::array<char, 32>;

/// Whether this build can compute digests: with OpenSSL (`digest_openssl.cpp`), or not at all (`digest_missing.cpp`).
[[nodiscard]] bool has_digests() noexcept;

/// FIPS 180-4. False where it cannot be computed.
[[nodiscard]] bool sha256(std::string_view bytes, Digest& digest) noexcept;

/// RFC 2104, with SHA-256. False where it cannot be computed.
[[nodiscard]] bool hmac_sha256(std::string_view key, std::string_view bytes, Digest& digest) noexcept;

}  // namespace backstop::inline v0::detail
