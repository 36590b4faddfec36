#include <algorithm>

#include "fuzz/targets.hpp"
#include "providers/wire/event_stream.hpp"
#include "support/aws_messages.hpp"

namespace backstop::fuzz {
namespace {

using detail::EventStream;

struct SeenMessages {
  std::string text;
  std::string payloads;
  std::size_t count = 0;
  std::string fault;
};

SeenMessages read_messages(std::string_view bytes, const std::vector<std::size_t>& places) {
  SeenMessages seen;
  EventStream stream;
  EventStream::Message message;
  in_pieces(bytes, places, [&](std::string_view piece) {
    stream.feed(piece);
    while (stream.next(message)) {
      require(message.payload.size() <= EventStream::largest_payload, "a payload is larger than the limit");
      for (const std::string_view part : {message.kind, message.name, message.words, message.payload}) {
        seen.text.append(part).push_back('\x1f');
      }
      seen.payloads.append(message.payload);
      ++seen.count;
    }
  });
  seen.fault = stream.fault();
  return seen;
}

void check_cut(std::string_view bytes, std::uint8_t seed, const SeenMessages& whole) {
  const SeenMessages cut = read_messages(bytes, cuts(bytes.size(), seed));
  require(whole.text == cut.text && whole.fault == cut.fault, "the messages depend on where the bytes are cut");
}

}  // namespace

/// AWS's binary framing. Random bytes have no right checksum, so that half of the inputs are put into messages: all of
/// them come out, and after one bit of them has changed no message has other content than was sent.
void aws_messages(std::string_view bytes) {
  Input input{bytes};
  const std::uint8_t seed = input.byte();
  if (seed % 2U == 0) {
    check_cut(input.rest(), seed, read_messages(input.rest(), {}));
    return;
  }
  const std::uint8_t flipped = input.byte();
  std::string sent;
  std::size_t count = 0;
  for (std::string_view rest = input.rest(); !rest.empty() && count < 100; ++count) {
    const std::size_t size = std::min(rest.size(), std::size_t{1} + static_cast<std::uint8_t>(rest.front()));
    sent += testing_support::aws_event("chunk", rest.substr(0, size));
    rest.remove_prefix(size);
  }
  const SeenMessages whole = read_messages(sent, {});
  require(whole.count == count && whole.fault.empty(), "a message is lost");
  check_cut(sent, seed, whole);
  if (sent.empty()) return;
  const std::size_t at = flipped * std::size_t{37} % sent.size();
  sent[at] = static_cast<char>(static_cast<std::uint8_t>(sent[at]) ^ (1U << (seed / 2U % 8U)));
  const SeenMessages damaged = read_messages(sent, {});
  require(damaged.count < count, "a message is taken whose checksum is wrong");
  require(whole.text.starts_with(damaged.text), "a damaged message has other content");
}

}  // namespace backstop::fuzz
