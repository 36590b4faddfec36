#include "backstop/chat/request.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backstop::inline v0 {

ChatRequest::ChatRequest(std::string prompt) { messages.push_back(Message::user(std::move(prompt))); }

ChatRequest::ChatRequest(const char* prompt) : ChatRequest(std::string{prompt}) {}

ChatRequest::ChatRequest(std::string_view prompt) : ChatRequest(std::string{prompt}) {}

ChatRequest::ChatRequest(std::vector<Message> conversation) : messages{std::move(conversation)} {}

}  // namespace backstop::inline v0
