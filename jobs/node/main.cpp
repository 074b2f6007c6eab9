// ufabd: the node (ufabd --home DIR) and the supervisor of one local run (ufabd shepherd FOLDER).
#include <cstdio>
#include <filesystem>
#include <string>

#include "jobs/batch/shepherd.h"
#include "jobs/node/node.h"

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "shepherd" && argc == 3) return ufab::jobs::shepherd_main(argv[2]);
  if (verb == "-h" || verb == "--help") {
    std::puts(
        "usage: ufabd [--home DIR]\nRuns the node of a home in the foreground; `ufab up` runs it in the "
        "background.");
    return 0;
  }
  const bool has_home = verb == "--home" && argc == 3;
  if (!has_home && argc != 1) {
    std::fprintf(stderr, "ufabd: usage: ufabd [--home DIR]\n");
    return 2;
  }
  const auto fail = [](const ufab::Error& error) {
    std::fprintf(stderr, "ufabd: %s\n", error.message.c_str());
    return error.exit_status();
  };
  const auto home = ufab::jobs::Home::locate(has_home ? argv[2] : "");
  if (!home) return fail(home.error());
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  const ufab::Status status = ufab::jobs::run_node(*home, {program.string()});
  return status.ok() ? 0 : fail(status.error());
}
