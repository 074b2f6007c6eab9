// ufab-slurm-completion --spool DIR: the program behind JobCompLoc of JobCompType=jobcomp/script.
//
// slurmctld runs it once for each job that has ended. It appends one line to DIR/YYYY-MM-DD.jsonl and syncs;
// it never waits for anybody else, ends after two seconds at the latest, and its exit status is 0 whatever
// happens: Slurm must not suffer from us. What it could not write is found again by `ufab audit reconcile
// --slurm` in sacct.
#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

#include "slurm/hooks/completion.h"

extern char** environ;

namespace {

void complain(const std::string& line) {
  ::syslog(LOG_DAEMON | LOG_WARNING, "ufab-slurm-completion: %s", line.c_str());
}

void append(const std::string& folder, const std::string& line) {
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST)
    return complain(folder + ": " + std::strerror(errno));
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char day[32];
  std::strftime(day, sizeof day, "%Y-%m-%d", &parts);
  const std::string path = folder + "/" + day + ".jsonl";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return complain(path + ": " + std::strerror(errno));
  // One write with O_APPEND: lines of jobs that end together do not mix.
  const bool whole = ::write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  if (!whole || ::fdatasync(file) != 0) complain(path + ": " + std::strerror(errno));
  ::close(file);
}

}  // namespace

int main(int argc, char** argv) {
  ::alarm(2);
  ::openlog("ufab-slurm-completion", LOG_PID, LOG_DAEMON);
  if (argc != 3 || std::strcmp(argv[1], "--spool") != 0) {
    complain("usage: ufab-slurm-completion --spool DIR");
    return 0;
  }
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair = *entry;
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos) variables.emplace(pair.substr(0, equals), pair.substr(equals + 1));
  }
  const auto line = ufab::slurm::completion_line(variables);
  if (line.ok()) {
    append(argv[2], *line);
  } else {
    complain(line.error().message);
  }
  return 0;
}
