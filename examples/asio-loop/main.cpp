// The library on Asio's loop: one thread runs timers, sockets and calls alike, and nothing ticks. Built where
// standalone Asio (libasio-dev) is found. Each line of standard input is a question: backstop-asio-loop POLICY.json

#include <map>
#include <string>

#include <unistd.h>

#include <asio.hpp>

#include <backstop/backstop.hpp>

using namespace backstop;

/// Has an `io_context` drive a runtime.
class AsioDriver {
 public:
  AsioDriver(asio::io_context& context, std::shared_ptr<Runtime> runtime)
      : runtime_{std::move(runtime)}, descriptor_{context, ::dup(runtime_->poll_fd())}, timer_{context} {
    wait_for_descriptor();
    wait_for_timer();
  }

 private:
  void wait_for_descriptor() {
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
      if (error) return;
      runtime_->poll();  // runs what is ready or due, and does not wait
      wait_for_descriptor();
      wait_for_timer();
    });
  }
  void wait_for_timer() {
    timer_.expires_at(runtime_->next_due());  // ends an earlier wait with an error
    timer_.async_wait([this](const asio::error_code& error) {
      if (error) return;
      runtime_->poll();
      wait_for_timer();
    });
  }

  std::shared_ptr<Runtime> runtime_;
  asio::posix::stream_descriptor descriptor_;
  asio::steady_timer timer_;
};

/// Asks a question for each line, until the input ends and all are answered.
class Questions {
 public:
  Questions(asio::io_context& context, const FallbackClient& client)
      : context_{&context}, client_{&client}, input_{context, ::dup(STDIN_FILENO)} {
    read_line();
  }

 private:
  void read_line() {
    asio::async_read_until(input_, asio::dynamic_buffer(buffer_), '\n',
                           [this](const asio::error_code& error, std::size_t size) {
                             open_ = !error;
                             if (!open_) return stop_when_done();
                             ask(buffer_.substr(0, size - 1));
                             buffer_.erase(0, size);
                             read_line();
                           });
  }
  void ask(std::string question) {
    const int number = ++count_;
    const auto call = calls_.emplace(number, client_->start(std::move(question))).first;
    call->second.on_done([this, number](const Result<ChatResponse>& reply) {
      fmt::print("{}: {}\n", number, reply ? reply->text() : reply.error().message);
      asio::post(*context_, [this, number] {
        calls_.erase(number);
        stop_when_done();
      });
    });
  }
  void stop_when_done() {
    if (!open_ && calls_.empty()) context_->stop();
  }

  asio::io_context* context_;
  const FallbackClient* client_;
  asio::posix::stream_descriptor input_;
  std::string buffer_;
  std::map<int, PendingCall> calls_;
  int count_ = 0;
  bool open_ = true;
};

int main(int argc, char** argv) {
  RuntimeOptions mine;
  mine.background_driver = false;  // Asio drives
  FallbackOptions options;
  options.runtime = std::make_shared<Runtime>(std::move(mine));
  const auto client = FallbackClient::from_config(load_config(argc > 1 ? argv[1] : "policy.json"), options);
  if (!client) return fmt::print(stderr, "{}\n", client.error()), 2;

  asio::io_context context;
  const AsioDriver driver{context, options.runtime};
  const Questions questions{context, *client};
  context.run();
}
