#include "providers/wire/content_coding.hpp"

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "support/compressed.hpp"

namespace content_coding_test {

using backstop::detail::ContentDecoder;
using namespace backstop::testing_support;

namespace {

struct Decoded {
  std::string plain;
  std::string fault;
};

Decoded decoded(std::string_view label, std::string_view body, std::size_t piece_size = 0) {
  ContentDecoder decoder{label};
  Decoded result;
  std::string_view plain;
  const auto drain = [&] {
    while (decoder.next(plain)) result.plain.append(plain);
  };
  while (!body.empty()) {
    const std::string piece{body.substr(0, piece_size == 0 ? body.size() : piece_size)};  // memory of its own
    body.remove_prefix(piece.size());
    decoder.feed(piece);
    drain();
  }
  decoder.feed({});
  drain();
  result.fault = decoder.fault();
  return result;
}

const std::string json = R"({"choices":[{"message":{"content":"Hello"}}]})";
const std::string events = "data: {\"choices\":[]}\n\nevent: x\ndata: [DONE]\n\n";

}  // namespace

TEST_CASE("a body is decoded by its bytes, whatever its label says and however it is cut") {
  for (const std::string& plain : {json, events, std::string(100'000, ' ') + json, std::string{"x"}, std::string{}}) {
    for (const std::string_view label : {"gzip", "x-gzip", "GZIP", "", "deflate", "utf-8", "none", "identity", "br"}) {
      for (const std::size_t piece_size : {0U, 1U, 2U, 3U, 7U, 4096U}) {
        CAPTURE(label, piece_size, plain.size());
        CHECK(decoded(label, compressed(plain, Coding::gzip), piece_size).plain == plain);
        if (plain.size() > 1) CHECK(decoded(label, plain, piece_size).plain == plain);
      }
    }
    for (const Coding coding : {Coding::zlib, Coding::raw_deflate}) {
      for (const std::size_t piece_size : {0U, 1U, 5U})
        CHECK(decoded("deflate", compressed(plain, coding), piece_size).plain == plain);
    }
  }
}

TEST_CASE("members of gzip follow one another, and what else follows is nothing") {
  const std::string two = compressed("one ", Coding::gzip) + compressed("two", Coding::gzip);
  CHECK(decoded("gzip", two).plain == "one two");
  CHECK(decoded("gzip", two, 1).plain == "one two");
  CHECK(decoded("gzip", two + "trailing").plain == "one two");
  // What begins like a member behind something else, or behind another coding, is none, however the bytes are cut.
  for (const std::size_t piece_size : {0U, 1U, 3U}) {
    CHECK(decoded("gzip", two + "x\x1F and more", piece_size).fault.empty());
    CHECK(decoded("deflate", compressed("one", Coding::zlib) + "\x1F and more", piece_size).fault.empty());
    CHECK(decoded("gzip", two + "\x1F and more", piece_size).fault == "the compressed body is damaged");
  }
}

TEST_CASE("what was flushed can be read before the body ends") {
  const std::string flushed = compressed(events, Coding::gzip, Ending::flushed);
  CHECK(decoded("gzip", flushed).plain == events);
  CHECK(decoded("gzip", flushed).fault.empty());
}

TEST_CASE("a damaged body and a coding that was not asked for are faults") {
  std::string damaged = compressed(std::string(1000, 'a') + json, Coding::gzip);
  damaged[damaged.size() / 2] ^= 0x55;
  CHECK(decoded("gzip", damaged).fault == "the compressed body is damaged");
  CHECK_FALSE(decoded("br", "\x8B\x02\x80 not text").fault.empty());
  CHECK_FALSE(decoded("zstd", "\x28\xB5\x2F\xFD\x04\x58").fault.empty());
}

TEST_CASE("an enormous body comes in pieces of bounded size") {
  const std::string body = compressed(std::string(50'000'000, 'a'), Coding::gzip);
  REQUIRE(body.size() < 100'000);
  ContentDecoder decoder{"gzip"};
  decoder.feed(body);
  std::string_view plain;
  REQUIRE(decoder.next(plain));
  CHECK(plain.size() <= 16 * 1024);
}

TEST_CASE("no bytes do any harm") {
  std::mt19937_64 random{42};
  const std::string sound = compressed(events, Coding::gzip);
  for (int round = 0; round < 20'000; ++round) {
    std::string body = random() % 2 == 0 ? sound : compressed(json, Coding::zlib);
    for (std::size_t changes = 1 + random() % 4; changes > 0; --changes)
      body[random() % body.size()] = static_cast<char>(random());
    body.resize(random() % (body.size() + 1));
    const std::string_view label = random() % 2 == 0 ? "gzip" : "deflate";
    CHECK(decoded(label, body, 1 + random() % 16).plain.size() < 1'000'000);
  }
}

}  // namespace content_coding_test
