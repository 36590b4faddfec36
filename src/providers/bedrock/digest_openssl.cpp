// Only in builds with BACKSTOP_WITH_OPENSSL.

#include <limits>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "digest.hpp"

namespace backstop::inline v0::detail {

bool has_digests() noexcept { return true; }

bool sha256(std::string_view bytes, Digest& digest) noexcept {
  unsigned size = 0;
  return ::EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                      ::EVP_sha256(), nullptr) == 1 &&
         size == digest.size();
}

bool hmac_sha256(std::string_view key, std::string_view bytes, Digest& digest) noexcept {
  if (key.size() > static_cast<std::size_t>((std::numeric_limits<int>::max)())) return false;
  unsigned size = 0;
  return ::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()),
                reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                reinterpret_cast<unsigned char*>(digest.data()), &size) != nullptr &&
         size == digest.size();
}

}  // namespace backstop::inline v0::detail
