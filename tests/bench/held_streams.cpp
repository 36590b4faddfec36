#include "held_streams.hpp"

#include <backstop/backstop.hpp>

#include <curl/curl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "measure.hpp"
#include "raw_client.hpp"
#include "trickle_server.hpp"

using namespace backstop;
using namespace std::chrono_literals;

namespace bench {
namespace {

constexpr std::size_t events_a_round = 100;  // one a stream at most: two that come together cost less
constexpr int rounds = 151;
const std::string prompt(400, 'x');

/// What came of the streams of one client, whichever it is.
struct Seen {
  void take(std::string_view text) {
    if (text.size() != 20) return;
    delays.push_back(wall() - std::strtod(std::string{text}.c_str(), nullptr));
    ++events;
  }
  std::size_t events = 0;
  std::vector<double> delays;
};

/// Streams that are open at the same time on the thread of the benchmark.
class Held {
 public:
  virtual ~Held() = default;
  /// Opens so many more.
  virtual void open(const TrickleServer& server, std::size_t streams) = 0;
  virtual void turn() = 0;
  /// Waits for that long, while nothing comes.
  virtual void rest(std::chrono::seconds) {}
  Seen seen;
};

class OurStreams final : public Held {
 public:
  OurStreams() {
    RuntimeOptions options;
    options.background_driver = false;
    runtime_ = std::make_shared<Runtime>(std::move(options));
  }
  void open(const TrickleServer& server, std::size_t streams) override {
    if (!client_) make_client(server);
    for (std::size_t i = 0; i < streams; ++i) {
      sinks_.push_back(std::make_unique<Sink>(seen));
      calls_.push_back(client_->start(prompt, {.sink = sinks_.back().get()}));
    }
  }
  void turn() override { runtime_->poll(1ms); }
  void rest(std::chrono::seconds time) override {
    const double until = wall() + 1e9 * static_cast<double>(time.count());
    for (double left = until - wall(); left > 0; left = until - wall()) {
      runtime_->poll(std::chrono::nanoseconds{static_cast<std::int64_t>(left)});
    }
  }

 private:
  void make_client(const TrickleServer& server) {
    const Policy guard = standard();
    const auto provider = [&](const char* name) {
      return openai_compatible({.model = "m", .api_key = "key", .base_url = server.base_url(), .name = name}) | guard;
    };
    client_ = std::make_unique<FallbackClient>(std::vector<Provider>{provider("first"), provider("second")},
                                               FallbackOptions{.runtime = runtime_});
  }

  struct Sink final : StreamSink {
    explicit Sink(Seen& all) : seen{&all} {}
    void on_event(const StreamEvent& event) noexcept override {
      if (event.type == StreamEvent::Type::text) seen->take(event.delta);
    }
    Seen* seen;
  };
  std::shared_ptr<Runtime> runtime_;
  std::unique_ptr<FallbackClient> client_;
  std::vector<std::unique_ptr<Sink>> sinks_;
  std::vector<PendingCall> calls_;
};

class RawStreams final : public Held {
 public:
  RawStreams() : multi_{curl_multi_init()}, epoll_{::epoll_create1(EPOLL_CLOEXEC)} {
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &watch);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, static_cast<void*>(this));
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &set_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, static_cast<void*>(this));
  }
  ~RawStreams() override {
    for (CURL* handle : handles_) curl_multi_remove_handle(multi_, handle);
    clients_.clear();
    curl_multi_cleanup(multi_);
    ::close(epoll_);
  }

  void open(const TrickleServer& server, std::size_t streams) override {
    for (std::size_t i = 0; i < streams; ++i) {
      clients_.push_back(std::make_unique<RawClient>(server.base_url(), Decoder::simdjson));
      clients_.back()->on_text([this](std::string_view text) { seen.take(text); });
      handles_.push_back(clients_.back()->prepare(prompt, true));
      curl_multi_add_handle(multi_, handles_.back());
    }
  }
  void turn() override {
    int running = 0;
    if (timer_ <= wall()) {
      timer_ = never;
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    std::array<epoll_event, 256> events;
    const int count = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), timer_ <= wall() ? 0 : 1);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      curl_multi_socket_action(multi_, event.data.fd,
                               ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                                   ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0),
                               &running);
    }
  }

 private:
  static constexpr double never = std::numeric_limits<double>::infinity();

  static int watch(CURL*, curl_socket_t socket, int what, void* self, void*) {
    epoll_event event{};
    event.data.fd = socket;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT) event.events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT) event.events |= EPOLLOUT;
    const int epoll = static_cast<RawStreams*>(self)->epoll_;
    if (event.events == 0) {
      ::epoll_ctl(epoll, EPOLL_CTL_DEL, socket, &event);
    } else if (::epoll_ctl(epoll, EPOLL_CTL_MOD, socket, &event) != 0) {
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event);
    }
    return 0;
  }
  static int set_timer(CURLM*, long milliseconds, void* self) {
    static_cast<RawStreams*>(self)->timer_ = milliseconds < 0 ? never : wall() + 1e6 * static_cast<double>(milliseconds);
    return 0;
  }

  CURLM* multi_;
  int epoll_;
  double timer_ = never;
  std::vector<std::unique_ptr<RawClient>> clients_;
  std::vector<CURL*> handles_;
};

double resident_bytes() {
  long pages = 0;
  long resident = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void wait_for(Held& held, const std::function<bool()>& condition) {
  const double until = wall() + 60e9;
  while (!condition()) {
    held.turn();
    if (wall() > until) throw std::runtime_error{"the streams do not come"};
  }
}

struct Measured {
  double cpu = 0;     ///< of an event, in ns
  double memory = 0;  ///< of a stream, in bytes
  double p99 = 0;     ///< of the time to its delivery, in ns
  double idle = 0;    ///< share of a core while nothing comes
};

template <class Streams>
Measured measure(std::size_t streams) {
  TrickleServer server;
  Measured measured;
  Streams held;
  const auto round = [&] {
    const std::size_t wanted = held.seen.events + events_a_round;
    server.write_events(events_a_round);
    wait_for(held, [&] { return held.seen.events >= wanted; });
  };
  const auto open_up_to = [&](std::size_t all) {
    held.open(server, all - server.open());
    wait_for(held, [&] { return server.open() == all; });
    for (std::size_t i = 0; i <= all / events_a_round; ++i) round();  // each stream once
  };
  open_up_to(1);  // what the process takes once, such as pages of code, is no stream's
  const double before = resident_bytes();
  open_up_to(streams);
  measured.memory = (resident_bytes() - before) / static_cast<double>(streams - 1);
  held.seen.delays.clear();
  std::vector<double> costs;
  for (int i = 0; i < rounds; ++i) {
    const double start = thread_cpu();
    round();
    costs.push_back((thread_cpu() - start) / events_a_round);
  }
  std::nth_element(costs.begin(), costs.begin() + rounds / 2, costs.end());
  measured.cpu = costs[rounds / 2];
  std::vector<double>& delays = held.seen.delays;
  const auto late = delays.begin() + static_cast<std::ptrdiff_t>(delays.size() * 99 / 100);
  std::nth_element(delays.begin(), late, delays.end());
  measured.p99 = *late;
  const double began = thread_cpu();
  held.rest(3s);
  measured.idle = (thread_cpu() - began) / 3e9;
  return measured;
}

/// In a process of its own: what one has taken from the system, the next would have for nothing.
template <class Streams>
Measured measure_apart(std::size_t streams) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) throw std::runtime_error{"no pipe"};
  const pid_t child = ::fork();
  if (child == 0) {
    const Measured measured = measure<Streams>(streams);
    ::_exit(::write(ends[1], &measured, sizeof measured) == sizeof measured ? 0 : 1);
  }
  ::close(ends[1]);
  Measured measured;
  const bool complete = ::read(ends[0], &measured, sizeof measured) == sizeof measured;
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  if (!complete) throw std::runtime_error{"the streams could not be measured"};
  return measured;
}

}  // namespace

void held_streams() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  double ours_first = 0;
  double raw_first = 0;
  for (const std::size_t streams : {100U, 1000U, 5000U}) {
    if (limit.rlim_cur < 2 * streams + 100) return;
    const Measured ours = measure_apart<OurStreams>(streams);
    const Measured raw = measure_apart<RawStreams>(streams);
    const std::string with = std::to_string(streams);
    report("held.cpu." + with, "ns", ours.cpu, "raw_epoll", raw.cpu);
    report("held.memory." + with, "bytes", ours.memory, "raw_epoll", raw.memory);
    report("held.delivery." + with, "ns", ours.p99, "raw_epoll", raw.p99);
    report("held.idle." + with, "1", ours.idle);
    if (ours_first == 0) {
      ours_first = ours.cpu;
      raw_first = raw.cpu;
    }
    report("held.growth." + with, "1", ours.cpu / ours_first, "raw_epoll", raw.cpu / raw_first);
  }
}

}  // namespace bench
