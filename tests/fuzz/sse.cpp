#include "providers/wire/server_sent_events.hpp"

#include "fuzz/targets.hpp"

namespace backstop::fuzz {
namespace {

struct SeenEvents {
  std::string text;  ///< of all events
  bool too_large = false;
};

SeenEvents read_events(std::string_view bytes, const std::vector<std::size_t>& places, std::size_t limit) {
  SeenEvents seen;
  detail::ServerSentEvents events{limit};
  detail::ServerSentEvents::Event event;
  const auto take = [&] {
    require(event.data.size() <= limit, "an event is larger than the limit");
    seen.text.append(event.name).append("\x1f").append(event.data).append(event.bare ? "\x1e*" : "\x1e");
  };
  in_pieces(bytes, places, [&](std::string_view piece) {
    events.feed(piece);
    while (events.next(event)) take();
  });
  while (events.finish(event)) take();
  seen.too_large = events.too_large();
  return seen;
}

}  // namespace

/// Server-sent events: the same ones wherever the bytes are cut, none of them larger than the limit.
void sse(std::string_view bytes) {
  Input input{bytes};
  const std::uint8_t seed = input.byte();
  const std::size_t limit = seed % 2U == 0 ? 64 : 1U << 20U;
  const SeenEvents whole = read_events(input.rest(), {}, limit);
  const SeenEvents cut = read_events(input.rest(), cuts(input.rest().size(), seed), limit);
  require(whole.too_large == cut.too_large, "whether the limit is exceeded depends on where the bytes are cut");
  require(whole.text == cut.text, "the events depend on where the bytes are cut");
}

}  // namespace backstop::fuzz
