// A small training job on generated text, run by the real ufab-train (or a test's own variant of it), alone
// or as a gang of several providers on loopback.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fabric/train/gang.h"
#include "tests/fabric/support/process.h"

namespace ufab::testing {

class TestJob {
 public:
  // settings: lines of the [train] table.
  explicit TestJob(const std::string& settings = "steps = 12\nwindow = 4\neval_every = 6\n");

  [[nodiscard]] std::string path(const std::string& name) const { return folder_ / name; }
  [[nodiscard]] const std::string& definition() const { return definition_; }
  [[nodiscard]] const std::string& corpus() const { return corpus_; }

  struct Launch {
    int ranks = 1;
    std::vector<std::string> options = {"--threads", "1"};
    Process::Environment environment;
    std::string program = UFAB_TRAIN_PROGRAM;
    std::string gang;        // path of gang.json
    std::string definition;  // instead of definition()
  };
  // Starts a run whose output folder is path(name).
  [[nodiscard]] Process start(const std::string& name, const Launch& launch) const;
  [[nodiscard]] Outcome run(const std::string& name, const Launch& launch) const;

  // Keys and gang.json for each member, named PREFIX0, PREFIX1, ...; shares: micro-batches of each.
  [[nodiscard]] std::vector<std::string> write_gang(const std::string& prefix,
                                                    const std::vector<std::uint32_t>& shares,
                                                    const std::string& resume = "latest") const;
  // All members at once, each into path(PREFIXi); launches[i] or the default.
  [[nodiscard]] std::vector<Outcome> run_gang(const std::string& prefix,
                                              const std::vector<std::uint32_t>& shares,
                                              const std::map<std::size_t, Launch>& launches = {}) const;

 private:
  TemporaryFolder folder_;
  std::string definition_, corpus_;
};

// "sha256:..." of the last line of ufab-train's output; empty when it is not there.
[[nodiscard]] std::string final_digest(const Outcome& outcome);
// Lines of a text file.
[[nodiscard]] std::vector<std::string> lines_of(const std::string& path);

}  // namespace ufab::testing
