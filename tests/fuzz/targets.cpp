#include "fuzz/targets.hpp"

#include <array>

namespace backstop::fuzz {

std::span<const FuzzTarget> targets() noexcept {
  static constexpr std::array rows{
      FuzzTarget{"answers", answers},
      FuzzTarget{"aws_messages", aws_messages},
      FuzzTarget{"catalog", catalog},
      FuzzTarget{"compressed", compressed},
      FuzzTarget{"failures", failures},
      FuzzTarget{"json_documents", json_documents},
      FuzzTarget{"json_lines", json_lines},
      FuzzTarget{"policy_file", policy_file},
      FuzzTarget{"request_json", request_json},
      FuzzTarget{"sse", sse},
      FuzzTarget{"texts", texts},
  };
  return rows;
}

}  // namespace backstop::fuzz
