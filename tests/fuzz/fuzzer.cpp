// One program per target: libFuzzer's main function calls this one.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  backstop::fuzz::BACKSTOP_FUZZ_TARGET(std::string_view{reinterpret_cast<const char*>(data), size});
  return 0;
}
