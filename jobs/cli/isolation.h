// What `ufab provider init` is told about keeping scripts apart, and what `ufab provider check` finds about
// it.
#pragma once

#include <string>
#include <vector>

#include "jobs/cli/command_line.h"
#include "jobs/node/home.h"

namespace ufab::jobs {

struct IsolationOptions {
  std::vector<std::string> run_as, readable;
  std::string run_folder, walls, network;
  // Both with the line of `provider init`, before and after it is parsed.
  void declare(CommandLine& line);
  // Errors: usage for what cannot be meant; invalid for a user that is unknown here or root. Makes the folder
  // of runs where scripts are to be isolated.
  [[nodiscard]] Status apply(const CommandLine& line, const Home& home, ProviderConfig& provider) const;
};

struct Finding {
  bool good = false;
  std::string what;
  std::string cure;     // where it is not good
  bool advice = false;  // good, and the cure would make it better
};

[[nodiscard]] std::vector<Finding> isolation_findings(const Home& home, const ProviderConfig& provider,
                                                      const std::string& trainer);

}  // namespace ufab::jobs
