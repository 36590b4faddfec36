#include "fault_ports.hpp"

#include <fmt/core.h>

namespace backstop::faults {

ClosedPort::ClosedPort() : bound_{bind_to_loopback(0)} {}

std::uint16_t ClosedPort::port() const { return port_of(bound_); }

std::string ClosedPort::base_url() const { return fmt::format("http://127.0.0.1:{}", port()); }

// A backlog of 0 has room for one connection that nobody accepts.
BlackHole::BlackHole() : listener_{listen_on_loopback(0, 0)}, queued_{begin_connecting(port_of(listener_))} {}

std::uint16_t BlackHole::port() const { return port_of(listener_); }

std::string BlackHole::base_url() const { return fmt::format("http://127.0.0.1:{}", port()); }

}  // namespace backstop::faults
