#pragma once

#include <curl/curl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "backstop/runtime/clock.hpp"
#include "runtime/curl_options.hpp"
#include "runtime/socket_poller.hpp"

namespace backstop::inline v0::detail {

template <auto close>
struct CurlCloser {
  template <class Handle>
  void operator()(Handle* handle) const noexcept {
    close(handle);
  }
};
using Easy = std::unique_ptr<CURL, CurlCloser<&curl_easy_cleanup>>;

/// Connections that are made alike, and the transfers that use them: those of the runtime's options, or of a target's
/// own. libcurl would use some of a target's connections for others, which have not asked for its interface or key.
///
/// Thread safety: none; it belongs to the thread that drives the runtime.
class CurlConnections {
 public:
  /// What the transport has for all of them.
  struct Shared {
    SocketPoller poller;
    std::uint32_t kinds = 0;  ///< of connections, that there have been
    bool active = false;      ///< something came, or ended
  };

  /// A transfer as its connections see it. It is CURLOPT_PRIVATE of its handle.
  class Transfer {
   public:
    explicit Transfer(CurlConnections& connections) : connections_{&connections}, easy_{connections.take_easy()} {}
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

   protected:
    virtual ~Transfer() { connections_->give_back(std::move(easy_)); }
    [[nodiscard]] CURL* easy() const noexcept { return easy_.get(); }
    [[nodiscard]] CurlConnections& connections() const noexcept { return *connections_; }

    std::string origin_;  ///< scheme, host and port

   private:
    friend class CurlConnections;
    /// libcurl is done with it; called from outside libcurl. It has been removed.
    virtual void finish(CURLcode code) noexcept = 0;

    CurlConnections* connections_;
    Easy easy_;
    Transfer* before_ = nullptr;  // in the list of those that run
    Transfer* after_ = nullptr;
    std::uint64_t number_ = 0;
  };

  /// `prepare_handle` sets what transfers want of each handle.
  CurlConnections(Shared& shared, const Clock& clock, HttpOptions options,
                  void (*prepare_handle)(CURL* easy, const CurlConnections& connections));
  ~CurlConnections();
  CurlConnections(const CurlConnections&) = delete;
  CurlConnections& operator=(const CurlConnections&) = delete;

  [[nodiscard]] const HttpOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::uint32_t kind() const noexcept { return kind_; }
  /// Transfers run.
  [[nodiscard]] bool busy() const noexcept { return first_ != nullptr; }
  /// There are transfers, those that have ended included.
  [[nodiscard]] bool in_use() const noexcept { return lent_ != 0; }
  [[nodiscard]] bool are_limited() const noexcept { return options_.connections != 0 || options_.connections_per_host != 0; }
  /// When libcurl has something to do though nothing comes.
  [[nodiscard]] TimePoint due() const noexcept { return due_; }
  void note_activity() noexcept { shared_->active = true; }
  /// A socket for a connection.
  [[nodiscard]] curl_socket_t open_socket(const curl_sockaddr& address) noexcept;

  /// What libcurl does when that has become ready on the socket.
  void act(curl_socket_t socket, int events) noexcept;
  /// libcurl's own: new transfers, those that were paused, its time limits.
  void run_timer() noexcept;
  void finish_transfers() noexcept;

  /// Begins it. Errors: std::bad_alloc, std::runtime_error where libcurl refuses it.
  void add(Transfer& transfer);
  void remove(Transfer& transfer) noexcept;

  /// A connection of that transfer's origin is silent. Others may be on it, so that libcurl keeps it until they have
  /// ended: until then what is new goes onto connections of its own.
  void suspect(const Transfer& silent);
  [[nodiscard]] bool is_suspected(const std::string& origin) const {
    return !suspected_.empty() && suspected_.contains(origin);
  }

 private:
  struct Suspicion {
    std::uint64_t last;   // the latest transfer that may be on a silent connection
    std::size_t running;  // how many of those there are
  };

  static int watch_socket(CURL*, curl_socket_t socket, int what, void* self, void*) noexcept;
  static int set_timer(CURLM*, long milliseconds, void* self) noexcept;

  [[nodiscard]] Easy take_easy();
  void give_back(Easy easy) noexcept;
  void prepare(CURL* easy);

  Shared* shared_;
  std::uint32_t kind_;
  const Clock* clock_;
  const HttpOptions options_;
  void (*prepare_)(CURL* easy, const CurlConnections& connections);
  CurlList resolutions_;
  TimePoint due_ = (TimePoint::max)();  // libcurl's timer
  // In this order: a handle that is destroyed must not belong to the others any more.
  std::unique_ptr<CURLSH, CurlCloser<&curl_share_cleanup>> share_;
  std::unique_ptr<CURLM, CurlCloser<&curl_multi_cleanup>> multi_;
  std::vector<Easy> pool_;
  std::size_t lent_ = 0;
  Transfer* first_ = nullptr;  // of those that run
  std::uint64_t added_ = 0;
  std::unordered_map<std::string, Suspicion> suspected_;  // by origin
};

}  // namespace backstop::inline v0::detail
