#include "backstop/chat/format.hpp"

#include <ostream>

namespace backstop::inline v0 {

std::ostream& operator<<(std::ostream& stream, const Error& error) { return stream << to_string(error); }

std::ostream& operator<<(std::ostream& stream, ErrorKind kind) { return stream << to_string(kind); }

std::ostream& operator<<(std::ostream& stream, Money amount) { return stream << to_string(amount); }

std::ostream& operator<<(std::ostream& stream, const Target& target) { return stream << target.name(); }

}  // namespace backstop::inline v0
