// The daemon of an organisation: its copy of the chain, its agents, and the two doors through which it is
// asked (the owner's Unix socket; TLS for other organisations). See jobs/node/methods.h for what may be asked
// by whom.
#pragma once

#include <memory>
#include <string>

#include "jobs/node/home.h"

namespace ufab::jobs {

struct NodeOptions {
  std::string program;  // path of ufabd itself
};

// Runs until TERM, INT or the owner's node.stop. An Error when it could not start.
[[nodiscard]] Status run_node(const Home& home, const NodeOptions& options);

}  // namespace ufab::jobs
