#pragma once

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "backstop/app/tools.hpp"
#include "backstop/call/call_options.hpp"
#include "backstop/chat/request.hpp"
#include "backstop/chat/response.hpp"
#include "backstop/chat/result.hpp"
#include "backstop/export.hpp"
#include "backstop/policies/checks.hpp"

/// Types of the application's own as tools' arguments and as answers, by their conversions from and to `nlohmann::json`
/// (such as `NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE`). Not part of `backstop.hpp`, which includes no JSON library.
namespace backstop::inline v0 {

class FallbackClient;

namespace detail {

/// What a type's conversions make of some JSON: it converted and written again, or, where a key is missing for it, that
/// key; neither where it is refused for another reason.
struct RoundTrip {
  std::optional<nlohmann::ordered_json> value{};
  std::string missing_key{};
};
using Converts = std::function<RoundTrip(const nlohmann::ordered_json&)>;

[[nodiscard]] BACKSTOP_EXPORT std::string schema_of_sample(const nlohmann::ordered_json& sample,
                                                           const Converts& converts);
[[nodiscard]] BACKSTOP_EXPORT std::string missing_key_in(std::string_view words);
[[nodiscard]] BACKSTOP_EXPORT std::string text_of_json(const nlohmann::ordered_json& json);
[[nodiscard]] BACKSTOP_EXPORT bool asks_for_object(std::string_view schema);

template <class T>
concept WrittenToJson = std::constructible_from<nlohmann::ordered_json, const T&> ||
                        std::constructible_from<nlohmann::json, const T&>;
template <class T>
concept ReadFromJson = requires(const nlohmann::json& json) { json.get<T>(); };
/// Whether a type of arguments or answers can be used; where not, the compiler says what to do.
template <class T>
[[nodiscard]] consteval bool converts_to_json() {
  static_assert(WrittenToJson<T> && ReadFromJson<T>,
                "the type of a tool's arguments or of an answer must convert from and to JSON; for a struct write "
                "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Type, member, ...) in its namespace, after those of its members");
  return WrittenToJson<T> && ReadFromJson<T>;
}

/// Types that a JSON object converts to, as far as that is known of a type.
template <class T>
inline constexpr bool may_be_object =
    !std::is_arithmetic_v<T> && !std::is_enum_v<T> && !std::is_convertible_v<T, std::string_view>;

template <class T>
[[nodiscard]] nlohmann::ordered_json written(const T& value) {
  if constexpr (std::is_constructible_v<nlohmann::ordered_json, const T&>) {
    return nlohmann::ordered_json(value);
  } else {
    return nlohmann::ordered_json(nlohmann::json(value));
  }
}

template <class T>
[[nodiscard]] RoundTrip round_trip(const nlohmann::ordered_json& json) {
  try {
    return {written(nlohmann::json(json).get<T>()), {}};
  } catch (const nlohmann::json::out_of_range& exception) {
    return {std::nullopt, missing_key_in(exception.what())};
  } catch (const std::exception&) {
    return {};
  }
}

/// Why the JSON is no T, in words; empty when it is one.
template <class T>
[[nodiscard]] Objection objection_to(const nlohmann::ordered_json& json);
[[nodiscard]] BACKSTOP_EXPORT Objection changed_value(const nlohmann::ordered_json& given,
                                                      const nlohmann::ordered_json& converted);

template <class T>
Objection objection_to(const nlohmann::ordered_json& json) {
  try {
    return changed_value(json, written(nlohmann::json(json).get<T>()));
  } catch (const std::exception& exception) {
    return "it cannot be read: " + std::string{exception.what()};
  }
}

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

/// What a function gives, as text for a model.
template <class T>
[[nodiscard]] Result<std::string> text_for_model(T&& value) {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (is_result<Plain>) {
    if (!value) return std::forward<T>(value).error();
    if constexpr (std::is_same_v<Plain, Result<void>>) {
      return std::string{"done"};
    } else {
      return text_for_model(*std::forward<T>(value));
    }
  } else if constexpr (std::is_convertible_v<T, std::string>) {
    return std::string(std::forward<T>(value));
  } else if constexpr (std::is_convertible_v<T, std::string_view>) {
    return std::string{std::string_view{value}};
  } else {
    static_assert(WrittenToJson<Plain>,
                  "what a tool gives must be text or convert to JSON; for a struct write "
                  "NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Type, member, ...) in its namespace");
    if constexpr (WrittenToJson<Plain>) return text_of_json(written(value));
    else return std::string{};
  }
}

/// The first argument of a function; void where it has none.
template <class Signature>
struct FirstArgument;
template <class R>
struct FirstArgument<std::function<R()>> {
  using type = void;
};
template <class R, class First, class... More>
struct FirstArgument<std::function<R(First, More...)>> {
  using type = std::remove_cvref_t<First>;
};

template <class Function, class... Arguments>
[[nodiscard]] Result<std::string> call_for_text(Function& function, const std::stop_token& stop,
                                                Arguments&&... arguments) {
  const auto call = [&]() -> decltype(auto) {
    if constexpr (std::is_invocable_v<Function&, Arguments..., const std::stop_token&>) {
      return function(std::forward<Arguments>(arguments)..., stop);
    } else {
      return function(std::forward<Arguments>(arguments)...);
    }
  };
  if constexpr (std::is_void_v<decltype(call())>) {
    call();
    return std::string{"done"};
  } else {
    return text_for_model(call());
  }
}

}  // namespace detail

/// A JSON Schema for a type, from how it is written to JSON: objects, arrays, texts, numbers, booleans; null for what
/// may be missing (an optional). All keys are required, others are not allowed. What an empty array or a null may hold
/// is found out by what the type's conversion accepts; where that finds nothing, and in an array of several types (a pair,
/// a tuple), anything may stand there. Enumerators that are written as texts are any text here, and checked when it is
/// read; so is whether a number fits its type.
///
/// Keys stand in the order in which the type writes them, and models write their answers so: sorted by name where it
/// converts to `nlohmann::json` only, as by the macros of nlohmann/json 3.11; in the order of its members where it
/// converts to `nlohmann::ordered_json`.
template <class T>
[[nodiscard]] std::string schema_of(const T& sample = T{}) {
  if constexpr (detail::converts_to_json<T>()) {
    return detail::schema_of_sample(detail::written(sample), detail::round_trip<T>);
  } else {
    return {};
  }
}

namespace detail {

template <class First, class Function>
[[nodiscard]] CallableTool tool_of(std::string name, std::string description, Function function,
                                   std::string parameters) {
  constexpr bool no_arguments = std::is_void_v<First> || std::is_same_v<First, std::stop_token>;
  if constexpr (no_arguments) {
    ToolFunction call = [function = std::move(function)](const ToolCall&, const std::stop_token& stop) mutable {
      return call_for_text(function, stop);
    };
    return {{.name = std::move(name), .description = std::move(description), .parameters = std::move(parameters)},
            std::move(call)};
  } else if constexpr (!may_be_object<First>) {
    static_assert(may_be_object<First>,
                  "a tool's arguments are one JSON object, a name for each: let the function take a struct of them");
    return {};
  } else if constexpr (converts_to_json<First>()) {
    if (parameters.empty()) parameters = schema_of<First>();
    if (!asks_for_object(parameters)) {
      throw std::invalid_argument{"the arguments of the tool " + name + " are no object"};
    }
    ToolFunction call = [function = std::move(function)](const ToolCall& made, const std::stop_token& stop) mutable {
      const auto arguments = nlohmann::json::parse(made.arguments);
      if (auto objection = objection_to<First>(arguments)) {
        return Result<std::string>{Error{ErrorKind::invalid_request, "the arguments: " + *objection}};
      }
      return call_for_text(function, stop, arguments.template get<First>());
    };
    return {{.name = std::move(name), .description = std::move(description), .parameters = std::move(parameters)},
            std::move(call)};
  } else {
    return {};
  }
}

}  // namespace detail

/// A tool of a function with types of its own. The function takes a type that JSON converts to, or nothing, and, if it
/// likes, a `std::stop_token` behind it. It gives text, or what converts to JSON, or a `Result` of these, or nothing.
/// It may throw to say that it failed: the exception's words go to the model, as those of an error do.
///
/// `parameters` is the schema of its arguments; empty: `schema_of` of the type.
/// Errors: std::invalid_argument where that is no object.
///
/// Example: `typed_tool("weather", "The weather in a city", [](const Place& place) { return weather_in(place.city); })`
template <class Function>
[[nodiscard]] CallableTool typed_tool(std::string name, std::string description, Function function,
                                      std::string parameters = {}) {
  static_assert(requires { std::function{function}; },
                "typed_tool takes a function whose arguments have types: no generic lambda, no overloaded function");
  if constexpr (requires { std::function{function}; }) {
    using First = typename detail::FirstArgument<decltype(std::function{function})>::type;
    return detail::tool_of<First>(std::move(name), std::move(description), std::move(function), std::move(parameters));
  } else {
    return {};
  }
}

/// How an answer of a certain type is asked for.
struct TypedOptions {
  CallOptions call{};
  std::string schema{};  ///< as text; empty: that of the request's `response_format`, else `schema_of` of the type
  std::string name = "answer";  ///< of the schema, which some providers need
  int repair = 1;  ///< how often an answer that is not of the type is sent back with the reasons, as by `accept_if`
};

/// An answer as a value of that type, and as it came.
template <class T>
struct TypedReply {
  T value;
  ChatResponse response;
};

namespace detail {

struct CheckedReply {
  nlohmann::ordered_json value;
  ChatResponse response;
};
/// `derive` gives the schema where neither the options nor the request have one.
[[nodiscard]] BACKSTOP_EXPORT Result<CheckedReply> chat_checked(
    const FallbackClient& client, ChatRequest request, const TypedOptions& options, std::string (*derive)(),
    std::function<Objection(const nlohmann::ordered_json&)> objection);

}  // namespace detail

/// Asks for an answer of a type of the application's own: the schema goes along as `response_format`, the answer is
/// checked against it and read, and one that does not fit is sent back once with what is wrong with it. A type that is
/// no object is asked for as the member `value` of one.
///
/// Errors: those of the call; `rejected_response` where the answer does not fit after all.
/// Example: `auto reply = chat_as<Recipe>(client, "A quick soup?"); if (reply) cook(reply->value);`
template <class T>
[[nodiscard]] Result<TypedReply<T>> chat_as(const FallbackClient& client, ChatRequest request,
                                            const TypedOptions& options = {}) {
  if constexpr (detail::converts_to_json<T>()) {
    auto reply = detail::chat_checked(client, std::move(request), options, +[] { return schema_of<T>(); },
                                      detail::objection_to<T>);
    if (!reply) return std::move(reply).error();
    return TypedReply<T>{nlohmann::json(reply->value).template get<T>(), std::move(reply->response)};
  } else {
    return Error{};
  }
}

}  // namespace backstop::inline v0
