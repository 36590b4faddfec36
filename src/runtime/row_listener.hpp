#pragma once

#include <cstddef>
#include <cstdint>

#include "backstop/runtime/call_context.hpp"

namespace backstop::inline v0::detail {

/// A shared send, whose ledger gets rows of shared sends further in (`CallState::row_listener`).
class RowListener {
 public:
  /// The row with this index is that of the send with this number (`Send::number`).
  virtual void on_row_added(std::size_t row, std::uint64_t send) noexcept = 0;

 protected:
  ~RowListener() = default;
};

}  // namespace backstop::inline v0::detail
