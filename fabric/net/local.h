// Links over a Unix socket between a node and its owner's commands on the same machine. The socket's file has
// mode 0600, and both ends check by SO_PEERCRED that the other runs as the same user (root is let in too).
#pragma once

#include <memory>
#include <string>

#include "fabric/net/link.h"

namespace ufab {

// ErrorCode::unavailable when nobody listens at `path`; denied when the listener is another user's.
[[nodiscard]] Result<LinkPtr> connect_local(const std::string& path, Deadline deadline);

class LocalListener {
 public:
  // Replaces a socket file that nobody listens on; conflict when somebody does. At most 107 bytes of path.
  [[nodiscard]] static Result<LocalListener> bind(const std::string& path);
  LocalListener(LocalListener&&) noexcept;
  LocalListener& operator=(LocalListener&&) noexcept;
  // Closes and removes the socket file.
  ~LocalListener();

  // Peers of other users are closed and skipped.
  [[nodiscard]] Result<LinkPtr> accept(Deadline deadline);
  // Ends pending and future accepts with ErrorCode::unavailable. Thread-safe.
  void interrupt();

 private:
  struct State;
  explicit LocalListener(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace ufab
