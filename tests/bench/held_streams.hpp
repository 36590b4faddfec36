#pragma once

namespace bench {

/// Thousands of streams that are open on one thread while a few of them flow: what an event costs, how soon it is
/// there, and what a stream holds, against libcurl by hand on `curl_multi_socket_action` and epoll.
void held_streams();

}  // namespace bench
