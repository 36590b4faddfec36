// A chat server on Asio's loop: one thread runs sockets, timers and calls alike. `backstop-server POLICY.json`
// A connection is a conversation: a line is a question, the answer comes as it is written, and an empty line ends it.
// Who hangs up cancels the call, who reads slowly slows it down. Built where standalone Asio (libasio-dev) is found.

#include <deque>
#include <iostream>

#include <asio.hpp>
#include <unistd.h>

#include <backstop/backstop.hpp>

using namespace backstop;
using asio::ip::tcp;

/// Has an `io_context` drive a runtime.
class AsioDriver {
 public:
  AsioDriver(asio::io_context& context, std::shared_ptr<Runtime> runtime)
      : runtime_{std::move(runtime)}, descriptor_{context, ::dup(runtime_->poll_fd())}, timer_{context} {
    wait(), poll();
  }

 private:
  void wait() {
    descriptor_.async_wait(descriptor_.wait_read, [this](asio::error_code error) { if (!error) poll(), wait(); });
  }
  void poll() {
    runtime_->poll();                         // runs what is ready or due, and does not wait
    timer_.expires_at(runtime_->next_due());  // ends an earlier wait with an error
    timer_.async_wait([this](asio::error_code error) { if (!error) poll(); });
  }
  std::shared_ptr<Runtime> runtime_;
  asio::posix::stream_descriptor descriptor_;
  asio::steady_timer timer_;
};

/// A connection. It lives as long as it is read from or written to; with it goes its call.
class Visitor final : public std::enable_shared_from_this<Visitor>, public StreamSink {
 public:
  Visitor(tcp::socket socket, const FallbackClient& client) : socket_{std::move(socket)}, client_{&client} {}

  void read() {
    const auto on_line = [self = shared_from_this()](asio::error_code error, std::size_t size) {
      if (error) return;
      self->questions_.push_back(self->input_.substr(0, size - 1));
      self->input_.erase(0, size);
      self->ask(), self->read();
    };
    asio::async_read_until(socket_, asio::dynamic_buffer(input_, 100'000), '\n', on_line);
  }
  void on_event(const StreamEvent& event) noexcept override {
    if (event.type == StreamEvent::Type::text) send(event.delta);
    if (event.type == StreamEvent::Type::restarted) send("\n[another model begins anew]\n");
  }
  bool ready() const noexcept override { return output_.size() < 64 * 1024; }
  void when_ready(Parked* waiting) noexcept override { waiting_ = waiting; }

 private:
  void ask() {
    if (call_ || questions_.empty()) return;
    Conversation talk = talk_;
    talk.ask(questions_.front());
    questions_.pop_front();
    call_.emplace(client_->start(talk, {.sink = this}));
    call_->on_done([weak = weak_from_this(), talk](const Result<ChatResponse>& reply) mutable {
      const auto self = weak.lock();
      if (!self) return;
      if (reply) self->talk_ = talk.append(*reply);
      self->send(reply ? "\n\n" : fmt::format("[{}]\n\n", reply.error().message));
      asio::post(self->socket_.get_executor(), [self] { self->call_.reset(), self->ask(); });
    });
  }
  void send(std::string_view text) {
    output_ += text;
    const auto self = weak_from_this().lock();
    if (self == nullptr || !sending_.empty()) return;
    sending_.swap(output_);
    asio::async_write(socket_, asio::buffer(sending_), [this, self](asio::error_code error, std::size_t) {
      sending_.clear();
      if (error) return;
      if (!output_.empty()) send("");
      if (waiting_ != nullptr && ready()) std::exchange(waiting_, nullptr)->wake();
    });
  }

  tcp::socket socket_;
  const FallbackClient* client_;
  Conversation talk_;
  std::deque<std::string> questions_;
  std::string input_, output_, sending_;
  Parked* waiting_ = nullptr;
  std::optional<PendingCall> call_;  // last, so that it ends before what it uses
};

void accept(tcp::acceptor& acceptor, const FallbackClient& client) {
  acceptor.async_accept([&](asio::error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Visitor>(std::move(socket), client)->read();
    accept(acceptor, client);
  });
}

int main(int argc, char** argv) {
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(RuntimeOptions{.background_driver = false});  // Asio drives
  const auto client = FallbackClient::from_config(load_config(argc > 1 ? argv[1] : "policy.json"), options);
  if (!client) return std::cerr << client.error() << "\n", 2;

  asio::io_context context;
  const AsioDriver driver{context, options.runtime};
  tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), 0}};
  std::cout << "listening on 127.0.0.1:" << acceptor.local_endpoint().port() << std::endl;
  accept(acceptor, *client);
  context.run();
}
