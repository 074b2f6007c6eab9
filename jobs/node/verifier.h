// The verifier's side: re-executes the windows that the ledger assigned to this organisation, on ranks and
// threads of its own choosing, and votes. Driven by the ledger like the provider's agent, and as repeatable.
#pragma once

#include <map>
#include <set>
#include <string>

#include "jobs/node/job_files.h"

namespace ufab::jobs {

class Verifier {
 public:
  explicit Verifier(NodeContext& node) : node_(node) {}
  // One pass over every assigned window. Called by one thread.
  void tick();

 private:
  static constexpr int max_tries = 3;  // of one window in one round; then the deadline passes the duty on
  Status advance(const JobView& view, const WindowEntry& window);
  Status prepare(const JobView& view, const WindowEntry& window, const std::string& folder);
  Status vote(const JobView& view, const WindowEntry& window, const std::string& folder);

  NodeContext& node_;
  std::map<std::string, std::string> said_;
  std::map<std::string, int> tries_;
};

}  // namespace ufab::jobs
