#include "providers/wire/server_sent_events.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

namespace server_sent_events_test {

using backstop::detail::ServerSentEvents;

namespace {

// "name|data", bare documents with a `*` in front.
using Seen = std::vector<std::string>;

void note(const ServerSentEvents::Event& event, Seen& seen) {
  std::string line = event.bare ? "*" : "";
  seen.push_back(line.append(event.name).append("|").append(event.data));
}

void feed(ServerSentEvents& events, std::string_view bytes, Seen& seen) {
  const std::string piece{bytes};  // gone afterwards, as a network buffer is
  events.feed(piece);
  ServerSentEvents::Event event;
  while (events.next(event)) note(event, seen);
}

Seen read(const std::vector<std::string_view>& pieces) {
  ServerSentEvents events;
  Seen seen;
  for (const std::string_view piece : pieces) feed(events, piece, seen);
  ServerSentEvents::Event event;
  if (events.finish(event)) note(event, seen);
  return seen;
}

Seen read(std::string_view body) { return read(std::vector<std::string_view>{body}); }

const std::string_view all_sorts =
    "\xEF\xBB\xBF: hello\n\n"
    "data: {\"a\":1}\n\n"
    ": OPENROUTER PROCESSING\r\n\r\n"
    "event: ping\r\ndata: {}\r\n\r\n"
    "event:x\rdata:{\"b\":\rdata: 2}\r\r"
    "id: 7\nretry: 10\ndata\ndata: \xC3\xA4\xF0\x9F\x98\x80\n\n"
    "event: lost\n\n"
    "error: {\"message\":\"no\"}\n\n"
    "{\n  \"error\": {}\n}\n\n"
    "data: [DONE]";

const Seen all_sorts_read{"|{\"a\":1}", "ping|{}", "x|{\"b\":\n2}", "|\n\xC3\xA4\xF0\x9F\x98\x80",
                          "error|{\"message\":\"no\"}", "*|{\n  \"error\": {}\n}", "|[DONE]"};

}  // namespace

TEST_CASE("events end with an empty line, whatever the line ends are") {
  CHECK(read("data: a\n\ndata: b\n\n") == Seen{"|a", "|b"});
  CHECK(read("data: a\r\n\r\ndata: b\r\n\r\n") == Seen{"|a", "|b"});
  CHECK(read("data: a\r\rdata: b\r\r") == Seen{"|a", "|b"});
  CHECK(read("data: a\r\n\ndata: b\n\r\n") == Seen{"|a", "|b"});
}

TEST_CASE("all sorts of events in one piece") { CHECK(read(all_sorts) == all_sorts_read); }

TEST_CASE("the same events come of a stream that is cut anywhere", "[scenario-209]") {
  for (std::size_t first = 0; first <= all_sorts.size(); ++first) {
    CAPTURE(first);
    REQUIRE(read({all_sorts.substr(0, first), all_sorts.substr(first)}) == all_sorts_read);
    for (std::size_t second = first; second <= all_sorts.size(); second += 7) {
      REQUIRE(read({all_sorts.substr(0, first), all_sorts.substr(first, second - first), all_sorts.substr(second)}) ==
              all_sorts_read);
    }
  }
}

TEST_CASE("the same events come of single bytes", "[scenario-209]") {
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < all_sorts.size(); ++i) bytes.push_back(all_sorts.substr(i, 1));
  CHECK(read(bytes) == all_sorts_read);
}

TEST_CASE("comments, blank lines and events without data are nothing") {
  CHECK(read("\n\n\n\n\n\n").empty());
  CHECK(read(": keep-alive\n\n: \n\n:\n\n").empty());
  CHECK(read("event: ping\n\n").empty());
  CHECK(read("data:\n\n").empty());
  CHECK(read("data\n\n").empty());
  CHECK(read("").empty());
}

TEST_CASE("one blank after the colon belongs to the field, a second one to the value") {
  CHECK(read("data:a\n\n") == Seen{"|a"});
  CHECK(read("data: a\n\n") == Seen{"|a"});
  CHECK(read("data:  a\n\n") == Seen{"| a"});
}

TEST_CASE("a byte order mark at the beginning is no part of the first field, and one elsewhere is") {
  const std::string mark = "\xEF\xBB\xBF";
  CHECK(read(mark + "data: 1\n\ndata: 2\n\n") == Seen{"|1", "|2"});
  CHECK(read(mark + "data: 1") == Seen{"|1"});
  CHECK(read(mark + "{\"a\":1}") == Seen{"*|{\"a\":1}"});
  CHECK(read({"\xEF", "\xBB", "\xBF" "data: 1\n\n"}) == Seen{"|1"});
  CHECK(read("data: 1\n\n" + mark + "data: 2\n\n") == Seen{"|1"});
  CHECK(read("data: " + mark + "1\n\n") == Seen{"|" + mark + "1"});
}

TEST_CASE("a name counts for its own event only") {
  CHECK(read("event: first\ndata: 1\n\ndata: 2\n\n") == Seen{"first|1", "|2"});
}

TEST_CASE("an event without its blank line is handed out at the clean end only") {
  ServerSentEvents events;
  Seen seen;
  feed(events, "data: 1\n\ndata: 2", seen);
  CHECK(seen == Seen{"|1"});
  ServerSentEvents::Event event;
  REQUIRE(events.finish(event));
  CHECK(event.data == "2");
  CHECK_FALSE(events.finish(event));
}

TEST_CASE("unknown fields and lines of HTML are passed over") {
  CHECK(read("<!DOCTYPE html>\n<html>\n</html>\n\nfoo: bar\ndata: 1\n\n") == Seen{"|1"});
}

TEST_CASE("a line or an event above the limit ends the reading") {
  ServerSentEvents::Event event;
  SECTION("in one line") {
    ServerSentEvents events{100};
    Seen seen;
    for (int i = 0; i < 20; ++i) feed(events, "data: 0123456789", seen);
    CHECK(events.too_large());
    feed(events, "\n\n", seen);
    CHECK(seen.empty());
    CHECK_FALSE(events.finish(event));
  }
  SECTION("in many lines") {
    ServerSentEvents events{100};
    Seen seen;
    for (int i = 0; i < 20; ++i) feed(events, "data: 0123456789\n", seen);
    CHECK(events.too_large());
    CHECK(seen.empty());
  }
  SECTION("in a bare document") {
    ServerSentEvents events{100};
    Seen seen;
    for (int i = 0; i < 20; ++i) feed(events, "{0123456789\n", seen);
    CHECK(events.too_large());
  }
}

TEST_CASE("the limit is the same however the bytes are cut") {
  for (const std::size_t size : {93U, 94U, 95U}) {
    CAPTURE(size);
    const std::string event = "data: " + std::string(size, 'x') + "\n\ndata: y\n\n";
    for (const std::size_t piece_size : {1U, 7U, 100U, 1000U}) {
      ServerSentEvents events{100};
      Seen seen;
      for (std::size_t at = 0; at < event.size(); at += piece_size) feed(events, event.substr(at, piece_size), seen);
      CHECK(events.too_large() == (size > 94));
      CHECK(seen.size() == (size > 94 ? 0U : 2U));
    }
  }
}

TEST_CASE("many small events fit under a small limit") {
  ServerSentEvents events{100};
  Seen seen;
  for (int i = 0; i < 50; ++i) feed(events, "data: 0123456789\n\nda", seen), feed(events, "ta: x\n\n", seen);
  CHECK_FALSE(events.too_large());
  CHECK(seen.size() == 100);
}

}  // namespace server_sent_events_test
