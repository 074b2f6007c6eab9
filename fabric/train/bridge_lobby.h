// Where the hub of a bridge receives the other members: it listens at its address of the gang until each of
// them has proved its key and said a hello that fits.
//
// The port is open to anybody. Every connection has a thread of its own for its handshake, at most
// kLobbySeats at a time and each for at most kLobbyPatience; further ones wait in the listen queue. So peers
// that connect and say nothing delay a member by kLobbyPatience per kLobbySeats of them, and the start of the
// exchange by at most kLobbyPatience.
#pragma once

#include <chrono>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/net/tls.h"
#include "fabric/train/gang.h"

namespace ufab {

constexpr std::size_t kLobbySeats = 64;
constexpr std::chrono::milliseconds kLobbyPatience{2000};

// One link per member in the order of the gang, null for the hub. Blocks for at most gang.join_timeout_ms and
// kLobbyPatience. ErrorCode::timeout names who is missing; ErrorCode::conflict: a member runs another job,
// attempt or definition.
[[nodiscard]] Result<std::vector<LinkPtr>> receive_members(const Gang& gang, const Digest& definition,
                                                           const Credentials& credentials);

}  // namespace ufab
