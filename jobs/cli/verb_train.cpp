// train: inside a batch script, becomes mpirun (or srun) with ufab-train on this job's ranks.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "jobs/cli/verbs.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

std::string variable(const char* name, const std::string& otherwise = {}) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

void print_usage() {
  std::puts(
      "usage: ufab train [--config FILE] [--data FILE] [--out DIR] [--ranks N] [--threads N] [-- TRAINER "
      "OPTION…]\n\n"
      "Starts ufab-train on this job's MPI ranks. Inside a job of the fabric everything comes from the job "
      "itself\n"
      "(UFAB_DEFINITION, UFAB_DATA, UFAB_GANG, UFAB_OUT, UFAB_RANKS, UFAB_THREADS); elsewhere give "
      "--config.\n"
      "What follows -- goes to ufab-train; `ufab-train --help` explains it.");
}

}  // namespace

VerbResult verb_train(const Invocation&, Words words) {
  std::string config = variable("UFAB_DEFINITION");
  std::string data = variable("UFAB_DATA");
  std::string out = variable("UFAB_OUT");
  std::string gang = variable("UFAB_GANG");
  std::string ranks = variable("UFAB_RANKS", variable("SLURM_NTASKS", "1"));
  std::string threads = variable("UFAB_THREADS", variable("SLURM_CPUS_PER_TASK", "1"));
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") {
      print_usage();
      return 0;
    }
    if (word == "--") {
      rest.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    std::string* target = word == "--config"    ? &config
                          : word == "--data"    ? &data
                          : word == "--out"     ? &out
                          : word == "--ranks"   ? &ranks
                          : word == "--threads" ? &threads
                                                : nullptr;
    if (target == nullptr || i + 1 >= words.size()) {
      return Error{ErrorCode::usage,
                   "'" + word + "': see `ufab train --help`; options of the trainer follow --"};
    }
    *target = words[++i];
  }
  for (const auto& [name, value] : {std::pair("--ranks", ranks), std::pair("--threads", threads)}) {
    if (!parse_count(value, 1, 65536))
      return Error{ErrorCode::usage, std::string(name) + ": '" + value + "' is no count"};
  }
  // A verification and a benchmark name what they need after the --.
  const bool whole = rest.empty() || (rest[0] != "--verify" && rest[0] != "--bench");
  if (whole && config.empty())
    return Error{ErrorCode::usage, "not inside a training job: give --config FILE"};

  std::string trainer = variable("UFAB_TRAINER");
  if (trainer.empty()) {
    std::error_code error;
    trainer = (std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "ufab-train").string();
  }
  std::vector<std::string> command{"mpirun", "-n", ranks, "--oversubscribe", "--bind-to", "none", trainer};
  if (whole) {
    command.insert(command.end(), {"--job", config});
    if (!data.empty()) command.insert(command.end(), {"--data", data});
    if (!gang.empty()) command.insert(command.end(), {"--gang", gang});
    if (!out.empty()) command.insert(command.end(), {"--out", out});
  }
  // The words after -- may say otherwise.
  const auto said = [&](std::string_view option) {
    return std::any_of(rest.begin(), rest.end(),
                       [&](const std::string& word) { return word.starts_with(option); });
  };
  // mpirun hides from the trainer that its lines go to a file.
  if (whole && !said("--progress") && ::isatty(STDOUT_FILENO) != 1)
    command.insert(command.end(), {"--progress", "lines"});
  // What the job asked for (MiB; Slurm's 0: all): a trainer that needs more says so instead of being killed.
  const std::string memory_mib = variable("SLURM_MEM_PER_NODE");
  if (whole && !said("--memory") && parse_count(memory_mib, 1, std::uint64_t{1} << 32))
    command.insert(command.end(), {"--memory", memory_mib + "M"});
  command.insert(command.end(), {"--threads", threads});
  command.insert(command.end(), rest.begin(), rest.end());

  // Several ranks and providers may share processors: a rank that waits must not take them from one that
  // computes.
  ::setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  ::setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
  if (::geteuid() == 0) {  // inside a container or a test: Open MPI wants to be told twice
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 0);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 0);
  }
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::fflush(stdout);
  ::execvp(argv[0], argv.data());
  return Error{ErrorCode::io, std::string("mpirun: ") + std::strerror(errno) + " (Debian: openmpi-bin)"};
}

}  // namespace ufab::jobs
