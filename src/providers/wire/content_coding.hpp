#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace backstop::inline v0::detail {

/// What a request says that it takes, as `accept-encoding`.
inline constexpr std::string_view accepted_codings = "gzip, deflate";

/// Undoes the compression of a body, piece by piece: `feed` a piece, then call `next` until it yields nothing.
///
/// The bytes decide, not the label: bodies come compressed without a label, labelled without being compressed, and
/// with labels that are no codings (`utf-8`, `none`). The label counts only where the bytes cannot tell.
///
/// Cost: what is not compressed is not copied. Compressed bytes are decoded 16 KiB at a time, so that a small body that
/// decodes to an enormous one takes no more memory than its reader allows.
class ContentDecoder {
 public:
  /// `label`: of `content-encoding`.
  explicit ContentDecoder(std::string_view label);
  ~ContentDecoder();
  ContentDecoder(const ContentDecoder&) = delete;
  ContentDecoder& operator=(const ContentDecoder&) = delete;

  /// An empty piece is the end of the body. The bytes must live until `next` has yielded nothing.
  void feed(std::string_view piece);
  /// More of the body as it was meant; lives until the next call of anything here.
  [[nodiscard]] bool next(std::string_view& plain);
  /// What is wrong, in words of ours; empty while nothing is. Nothing more is yielded then.
  [[nodiscard]] std::string_view fault() const noexcept { return fault_; }

 private:
  enum class Form : unsigned char { undecided, plain, compressed };
  struct Inflater;

  void decide();
  [[nodiscard]] bool inflate_next(std::string_view& plain);

  std::string label_;
  std::string held_;  ///< the beginning, too short yet to tell
  std::string_view piece_;
  Form form_ = Form::undecided;
  bool finished_ = false;
  std::unique_ptr<Inflater> inflater_;
  std::string fault_;
};

}  // namespace backstop::inline v0::detail
