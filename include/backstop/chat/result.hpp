#pragma once

#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "backstop/chat/error.hpp"
#include "backstop/export.hpp"
#include "backstop/memory_pool.hpp"

namespace backstop::inline v0 {
namespace detail {

/// A value that may be missing, in memory of its own: a result goes through every layer of a call, and moving a pointer
/// costs a tenth of moving an answer.
template <class T>
class Boxed {
  static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

 public:
  Boxed() noexcept = default;
  explicit Boxed(T&& value) : value_{make(std::move(value))} {}
  Boxed(const Boxed& other) : value_{other.value_ != nullptr ? make(*other.value_) : nullptr} {}
  Boxed(Boxed&& other) noexcept : value_{std::exchange(other.value_, nullptr)} {}
  Boxed& operator=(const Boxed& other) {
    if (this != &other) *this = Boxed{other};
    return *this;
  }
  Boxed& operator=(Boxed&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Boxed() {
    if (value_ != nullptr) drop(value_);
  }

  [[nodiscard]] bool has_value() const noexcept { return value_ != nullptr; }
  [[nodiscard]] T& operator*() const noexcept { return *value_; }
  [[nodiscard]] T* operator->() const noexcept { return value_; }

 private:
  template <class U>
  [[nodiscard]] static T* make(U&& value) {
    void* const memory = allocate();
    try {
      return new (memory) T(std::forward<U>(value));
    } catch (...) {
      deallocate(memory);
      throw;
    }
  }
  // On its own: on its way through the layers a result leaves empty boxes behind, and those are to be inline.
  [[gnu::noinline]] static void drop(T* value) noexcept {
    value->~T();
    deallocate(value);
  }
  // An error can be told where there is no memory.
  static_assert(sizeof(Error) <= 512);
  [[nodiscard]] static void* allocate() {
    if constexpr (std::is_same_v<T, Error>) return allocate_for_failure(sizeof(T));
    return allocate_pooled(sizeof(T));
  }
  static void deallocate(void* memory) noexcept {
    if constexpr (std::is_same_v<T, Error>) return deallocate_for_failure(memory, sizeof(T));
    deallocate_pooled(memory, sizeof(T));
  }

  T* value_ = nullptr;
};

/// Large values are boxed, small ones stay where they are.
template <class T>
using Held = std::conditional_t<(sizeof(T) > 64), Boxed<T>, std::optional<T>>;

}  // namespace detail

/// Thrown by `Result::value()` on an error, for applications that prefer exceptions.
class BACKSTOP_EXPORT BadResult : public std::exception {
 public:
  explicit BadResult(Error error);

  [[nodiscard]] const Error& error() const noexcept { return error_; }
  [[nodiscard]] const char* what() const noexcept override;

 private:
  Error error_;
  std::string text_;
};

/// Either a value or the `Error` that prevented it.
///
/// Errors: `*` and `->` need a value, `error()` an error; `value()` throws `BadResult` instead.
/// Cost: moving it moves pointers, unless the value is small. One that was moved from may only be destroyed or
/// assigned.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T&& value) : value_{std::move(value)} {}
  Result(const T& value) : value_{T(value)} {}
  Result(Error&& error) : error_{std::move(error)} {}
  Result(const Error& error) : error_{Error(error)} {}

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  [[nodiscard]] T& operator*() & noexcept { return *value_; }
  [[nodiscard]] const T& operator*() const& noexcept { return *value_; }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(*value_); }
  [[nodiscard]] T* operator->() noexcept { return &*value_; }
  [[nodiscard]] const T* operator->() const noexcept { return &*value_; }

  [[nodiscard]] Error& error() & noexcept { return *error_; }
  [[nodiscard]] const Error& error() const& noexcept { return *error_; }
  [[nodiscard]] Error&& error() && noexcept { return std::move(*error_); }

  [[nodiscard]] T& value() & {
    if (!has_value()) throw BadResult{error()};
    return **this;
  }
  [[nodiscard]] const T& value() const& {
    if (!has_value()) throw BadResult{error()};
    return **this;
  }
  [[nodiscard]] T value() && {
    if (!has_value()) throw BadResult{std::move(*this).error()};
    return std::move(**this);
  }

 private:
  detail::Held<T> value_;
  detail::Boxed<Error> error_;
};

/// Success without a value, or an `Error`.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() noexcept = default;
  BACKSTOP_EXPORT Result(Error&& error);
  BACKSTOP_EXPORT Result(const Error& error);

  [[nodiscard]] bool has_value() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return has_value(); }
  [[nodiscard]] Error& error() & noexcept { return *error_; }
  [[nodiscard]] const Error& error() const& noexcept { return *error_; }
  [[nodiscard]] Error&& error() && noexcept { return std::move(*error_); }

 private:
  detail::Boxed<Error> error_;
};

}  // namespace backstop::inline v0
