#include "providers/wire/event_stream.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "support/aws_messages.hpp"

namespace event_stream_test {

using namespace backstop;
using namespace backstop::testing_support;

namespace {

struct Seen {
  std::vector<std::string> messages;  ///< kind, name and payload
  std::string fault;

  friend bool operator==(const Seen&, const Seen&) = default;
};

/// What comes of a body in pieces of that size.
Seen seen_in(std::string_view body, std::size_t piece = std::string_view::npos) {
  detail::EventStream stream;
  detail::EventStream::Message message;
  Seen seen;
  for (std::size_t at = 0; at < body.size(); at += std::min(piece, body.size())) {
    stream.feed(body.substr(at, piece));
    while (stream.next(message)) {
      seen.messages.push_back(std::string{message.kind} + "|" + std::string{message.name} + "|" +
                              std::string{message.words} + "|" + std::string{message.payload});
    }
  }
  seen.fault = stream.fault();
  return seen;
}

std::string fault_of(const std::string& body) { return seen_in(body).fault; }

// Written by another implementation.
const std::string recorded_stop = from_hex(
    "0000007a00000051ca2c46650b3a6576656e742d7479706507000b6d65737361676553746f700d3a636f6e74656e742d747970650700106170"
    "706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2273746f70526561736f6e223a22656e645f7475"
    "726e227d5fbf09fc");
const std::string recorded_exception = from_hex(
    "0000008800000061de0175f40f3a657863657074696f6e2d747970650700137468726f74746c696e67457863657074696f6e0d3a636f6e7465"
    "6e742d747970650700106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d74797065070009657863657074696f6e7b226d6573"
    "73616765223a22736c6f7720646f776e227d832ee072");

}  // namespace

TEST_CASE("messages of another implementation are read, however they are cut into pieces") {
  const std::string body = recorded_stop + recorded_exception + recorded_stop;
  const Seen wanted{
      {R"(event|messageStop||{"stopReason":"end_turn"})", R"(exception|throttlingException||{"message":"slow down"})",
       R"(event|messageStop||{"stopReason":"end_turn"})"},
      ""};
  for (std::size_t piece = 1; piece <= body.size(); ++piece) {
    CAPTURE(piece);
    CHECK(seen_in(body, piece) == wanted);
  }
  CHECK(aws_event("messageStop", R"({"stopReason":"end_turn"})") == recorded_stop);
}

TEST_CASE("any bit that has changed on the way is noticed") {
  for (std::size_t at = 0; at < recorded_stop.size(); ++at) {
    CAPTURE(at);
    std::string damaged = recorded_stop + recorded_stop;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    const Seen seen = seen_in(damaged);
    CHECK(seen.messages.empty());
    CHECK(seen.fault == (at < 12 ? "a message of the stream is damaged: the checksum of its lengths is another"
                                 : "a message of the stream is damaged: its checksum is another"));
  }
}

TEST_CASE("messages before a damaged one are handed out, and nothing after it") {
  std::string body = recorded_stop + recorded_stop + recorded_stop;
  body[recorded_stop.size() * 2 - 1] = static_cast<char>(~body[recorded_stop.size() * 2 - 1]);
  CHECK(seen_in(body).messages.size() == 1);
  CHECK(seen_in(body, 7).messages.size() == 1);
}

TEST_CASE("a message that is not whole is none, and no fault") {
  for (std::size_t size = 0; size < recorded_stop.size(); ++size) {
    CAPTURE(size);
    CHECK(seen_in(recorded_stop.substr(0, size)) == Seen{});
  }
}

TEST_CASE("headers of every type are passed over, and only texts are names") {
  std::string headers;
  const auto add = [&headers](std::string_view name, char type, std::string_view value) {
    headers += static_cast<char>(name.size());
    headers.append(name).append(1, type).append(value);
  };
  add("yes", 0, "");
  add("no", 1, "");
  add("i8", 2, "1");
  add("i16", 3, "12");
  add("i32", 4, "1234");
  add("i64", 5, "12345678");
  add("bytes", 6, std::string_view{"\0\3abc", 5});
  add("when", 8, "12345678");
  add("uuid", 9, "1234567890123456");
  const std::string named = headers + aws_header(":event-type", "ping");
  CHECK(seen_in(aws_frame(named, "{}")) == Seen{{"|ping||{}"}, ""});
  CHECK(seen_in(aws_frame("", "")) == Seen{{"|||"}, ""});
  const std::string error = aws_header(":message-type", "error") + aws_header(":error-code", "Oops") +
                            aws_header(":error-message", "it broke");
  CHECK(seen_in(aws_frame(error, "")) == Seen{{"error|Oops|it broke|"}, ""});

  const std::string unreadable = "a message of the stream has headers that cannot be read";
  CHECK(fault_of(aws_frame(headers + "\x04name", "")) == unreadable);                           // no type
  CHECK(fault_of(aws_frame(headers + "\x04name\x0A", "")) == unreadable);                       // no such type
  CHECK(fault_of(aws_frame(headers + "\x09name", "")) == unreadable);                           // beyond the end
  CHECK(fault_of(aws_frame(std::string{"\1n\7\0\5abc", 8}, "12345")) == unreadable);            // beyond the headers
  CHECK(fault_of(aws_frame(std::string{"\x0B:event-type\4", 13} + "1234", "")) == unreadable);  // a number for a name
  CHECK(fault_of(aws_frame(aws_header(":event-type", "a") + aws_header(":event-type", "b"), "")) == unreadable);
  CHECK(fault_of(aws_frame(aws_header(":event-type", "a") + aws_header(":exception-type", "b"), "")) == unreadable);
}

TEST_CASE("sizes that cannot be are refused before anything is kept for them") {
  const auto prelude = [](std::uint32_t size, std::uint32_t headers) {
    std::string bytes = big_endian(size) + big_endian(headers);
    return bytes + big_endian(crc_of(bytes));
  };
  constexpr std::uint32_t payload = 16U << 20U;
  constexpr std::uint32_t most = 128U << 10U;
  CHECK(fault_of(prelude(15, 0)) == "a message of the stream is shorter than its headers");
  CHECK(fault_of(prelude(16, 1)) == "a message of the stream is shorter than its headers");
  CHECK(fault_of(prelude(most + 17, most + 1)) == "a message of the stream has headers of more than 128 KiB");
  CHECK(fault_of(prelude(0xFFFFFFFF, 0xFFFFFFFF)) == "a message of the stream has headers of more than 128 KiB");
  CHECK(fault_of(prelude(payload + 17, 0)) == "a message of the stream is larger than 16 MiB");
  CHECK(fault_of(prelude(0xFFFFFFFF, 0)) == "a message of the stream is larger than 16 MiB");
  CHECK(fault_of(prelude(payload + 16, 0)).empty());
  CHECK(fault_of(prelude(most + payload + 16, most)).empty());
}

}  // namespace event_stream_test
