// The messages that wait to be sent to one peer of a mesh: bounded, by priority, and cut into frames only
// when they leave, so that a vote waits for at most one piece of a large message before it.
//
// A lower channel goes first; within a channel the order is kept. When a message does not fit, the oldest of
// the lowest-priority channel gives way, down to the channel of the new one; where only more urgent ones
// are left, it is the new one itself that is dropped. A message of which a piece has left is not dropped.
//
// Pure: no lock, no clock.
#pragma once

#include <array>
#include <deque>
#include <memory>

#include "fabric/net/mesh_wire.h"

namespace ufab {

using SharedBytes = std::shared_ptr<const Bytes>;

class MeshQueue {
 public:
  struct Limits {
    std::size_t bytes = std::size_t{32} << 20;  // of messages that are not wholly sent
    std::size_t messages = 16384;
  };
  using Counts = std::array<std::uint64_t, mesh_channels>;

  explicit MeshQueue(const Limits& limits) : limits_(limits) {}

  // Precondition: channel < mesh_channels, message not empty.
  void push(std::size_t channel, SharedBytes message);
  // Appends frames to `out` while it has at most `out_max` bytes, which is at least what one frame takes.
  void fill(Bytes& out, std::size_t out_max);
  // Forgets which pieces have left: on a new link a message begins again.
  void restart();
  // Drops everything.
  void clear();

  [[nodiscard]] bool empty() const { return messages_ == 0; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::size_t messages() const { return messages_; }
  [[nodiscard]] const Counts& dropped() const { return dropped_; }
  [[nodiscard]] const Counts& sent() const { return sent_; }

 private:
  struct Channel {
    std::deque<SharedBytes> messages;
    std::size_t begin = 0;  // bytes of the first one that have left
  };
  // True when one was dropped.
  bool drop_oldest(std::size_t channel);
  void pop(std::size_t channel);
  // False when the channel's next frame does not fit.
  bool put_frame(std::size_t channel, Bytes& out, std::size_t out_max);

  Limits limits_;
  std::array<Channel, mesh_channels> channels_;
  std::size_t bytes_ = 0;
  std::size_t messages_ = 0;
  Counts dropped_{}, sent_{};
};

}  // namespace ufab
