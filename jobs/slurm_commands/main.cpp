// sbatch, squeue, sacct, scancel and sinfo over the fabric: one program under Slurm's names, in a folder that
// a user may put first on PATH. $UFAB_HOME says which home is meant, as for ufab itself.
#include <cstdio>
#include <exception>
#include <filesystem>

#include "jobs/slurm_commands/support.h"

namespace {

struct Command {
  const char* name;
  int (*run)(const ufab::jobs::slurm_commands::Arguments& words);
};
constexpr Command commands[] = {{"sbatch", ufab::jobs::slurm_commands::sbatch},
                                {"squeue", ufab::jobs::slurm_commands::squeue},
                                {"sacct", ufab::jobs::slurm_commands::sacct},
                                {"scancel", ufab::jobs::slurm_commands::scancel},
                                {"sinfo", ufab::jobs::slurm_commands::sinfo}};

}  // namespace

int main(int argc, char** argv) {
  const std::string name = std::filesystem::path(argc > 0 ? argv[0] : "").filename().string();
  try {
    for (const Command& command : commands) {
      if (name == command.name) return command.run({argv + 1, argv + argc});
    }
  } catch (const std::exception& error) {  // an answer of another version's ufab, no memory
    return ufab::jobs::slurm_commands::fail(name, error.what());
  }
  std::fprintf(stderr, "ufab-slurm: call it as sbatch, squeue, sacct, scancel or sinfo (build/bin/slurm)\n");
  return 2;
}
