#pragma once

#include <coroutine>
#include <cstddef>
#include <utility>

namespace backstop::inline v0 {

class CallWork;
class Parked;
class ReadyQueue;

/// A place in the queue of coroutines that are ready to go on, and of work; leaves the queue on destruction.
class ReadyNode {
 public:
  ReadyNode(const ReadyNode&) = delete;
  ReadyNode& operator=(const ReadyNode&) = delete;

 protected:
  ReadyNode() noexcept = default;
  ~ReadyNode() { leave(); }
  inline void leave() noexcept;

 private:
  friend class CallWork;
  friend class Parked;
  friend class ReadyQueue;
  std::coroutine_handle<> handle_;  // null: it is a CallWork
  const void* call_ = nullptr;  // whose coroutine it is
  ReadyQueue* ready_in_ = nullptr;
  ReadyNode* previous_ = nullptr;
  ReadyNode* next_ = nullptr;
};

/// First in, first out. Nodes are linked, so that queueing allocates nothing; destroying a node takes it out.
///
/// Thread safety: none; it belongs to the thread that drives the runtime.
class ReadyQueue {
 public:
  /// A coroutine to be resumed, or work where there is none, and the call that it belongs to.
  struct Step {
    std::coroutine_handle<> handle;
    const void* call;
    ReadyNode* node;
  };

  ReadyQueue() noexcept = default;
  ReadyQueue(const ReadyQueue&) = delete;
  ReadyQueue& operator=(const ReadyQueue&) = delete;
  ~ReadyQueue() {
    while (first_ != nullptr) remove(*first_);
  }

  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  void push(ReadyNode& node) noexcept {
    if (node.ready_in_ != nullptr) return;
    node.ready_in_ = this;
    node.previous_ = last_;
    node.next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = &node;
    last_ = &node;
    ++size_;
  }
  /// Takes the first out; only where there is one.
  [[nodiscard]] Step pop() noexcept {
    ReadyNode& node = *first_;
    remove(node);
    return {std::exchange(node.handle_, {}), node.call_, &node};
  }
  /// Whose the first is; only where there is one.
  [[nodiscard]] const void* front_call() const noexcept { return first_->call_; }
  void move_front_to(ReadyQueue& other) noexcept {
    ReadyNode& node = *first_;
    remove(node);
    other.push(node);
  }
  /// Forgets the nodes without a look at them.
  void abandon() noexcept {
    first_ = last_ = nullptr;
    size_ = 0;
  }
  void remove(ReadyNode& node) noexcept {
    (node.previous_ != nullptr ? node.previous_->next_ : first_) = node.next_;
    (node.next_ != nullptr ? node.next_->previous_ : last_) = node.previous_;
    node.ready_in_ = nullptr;
    --size_;
  }

 private:
  ReadyNode* first_ = nullptr;
  ReadyNode* last_ = nullptr;
  std::size_t size_ = 0;
};

inline void ReadyNode::leave() noexcept {
  if (ready_in_ != nullptr) ready_in_->remove(*this);
}

}  // namespace backstop::inline v0
