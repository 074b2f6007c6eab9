// sbatch: `ufab submit` with sbatch's output.
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>

#include "jobs/slurm_commands/support.h"

namespace ufab::jobs::slurm_commands {

namespace {

// What of the command line changes sbatch's own output.
struct Manner {
  bool parsable = false;
  bool quiet = false;
  bool test_only = false;
  bool plain = false;  // --help and --version: ufab's words are shown as they are
};

Manner manner_of(const Arguments& words) {
  Manner manner;
  const auto line = split_command_line(words);
  if (!line) return manner;
  const auto options = command_line_options(line->component_words.front(), Reading{});
  if (!options) return manner;
  manner.parsable = options->parsable;
  manner.quiet = options->quiet;
  manner.test_only = options->test_only;
  for (const char* name : {"help", "usage", "version"})
    manner.plain = manner.plain || options->in_force.contains(name);
  return manner;
}

std::string cluster_suffix(bool parsable) {
  const char* clusters = std::getenv("SBATCH_CLUSTERS");
  return parsable && clusters != nullptr && *clusters != '\0' ? ";" + std::string(clusters) : "";
}

}  // namespace

int sbatch(const Arguments& words) {
  const Manner manner = manner_of(words);
  Arguments call{"submit"};
  if (!manner.plain) call.push_back("--json");
  call.insert(call.end(), words.begin(), words.end());
  bool answered = false;
  const auto show = [&](const std::string& line) {
    boost::json::error_code error;
    const boost::json::value value =
        manner.plain || answered ? boost::json::value() : boost::json::parse(line, error);
    if (error || !value.is_object()) {
      if (manner.plain) std::puts(line.c_str());
      return;
    }
    answered = true;
    const boost::json::object& answer = value.get_object();
    if (manner.test_only) {
      const boost::json::value* reason = answer.if_contains("offer_reason");
      if (reason != nullptr)
        std::fprintf(stderr, "sbatch: error: %s\n", std::string(reason->as_string()).c_str());
      if (reason == nullptr) std::fprintf(stderr, "sbatch: the job would be taken by a provider now\n");
      answered = reason == nullptr;
      return;
    }
    const auto job = answer.at("job").to_number<unsigned long long>();
    if (manner.parsable) {
      std::printf("%llu%s\n", job, cluster_suffix(true).c_str());
    } else if (!manner.quiet) {
      std::printf("Submitted batch job %llu\n", job);
    }
    std::fflush(stdout);
  };
  const auto status = run_ufab(call, show);
  if (!status) return fail("sbatch", status.error().message);
  if (manner.test_only && *status == 0) return answered ? 0 : 1;
  return *status == 2 ? 255 : *status == 0 ? 0 : 1;
}

}  // namespace ufab::jobs::slurm_commands
