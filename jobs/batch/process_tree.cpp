#include "jobs/batch/process_tree.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <unordered_map>

#include "fabric/base/file.h"

namespace ufab::jobs {

std::vector<ProcessSample> descendants_of(pid_t root) {
  struct Entry {
    pid_t parent;
    bool zombie;
    std::uint64_t rss_kib;
  };
  const auto page_kib = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  std::unordered_map<pid_t, Entry> entries;
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) return {};
  while (const dirent* item = ::readdir(folder)) {
    const auto pid = static_cast<pid_t>(std::strtol(item->d_name, nullptr, 10));
    if (pid <= 0) continue;
    const auto text = read_text_file(std::string("/proc/") + item->d_name + "/stat", 4096);
    if (!text) continue;
    const std::size_t close = text->rfind(')');
    if (close == std::string::npos) continue;
    std::istringstream fields(text->substr(close + 1));
    std::string field;
    Entry entry{0, false, 0};
    fields >> field;
    entry.zombie = field == "Z";
    fields >> entry.parent;
    for (int i = 5; i <= 23; ++i) fields >> field;
    std::uint64_t pages = 0;
    fields >> pages;
    entry.rss_kib = pages * page_kib;
    entries.emplace(pid, entry);
  }
  ::closedir(folder);

  std::vector<ProcessSample> found;
  for (const auto& [pid, entry] : entries) {
    pid_t ancestor = entry.parent;
    for (int depth = 0; depth < 64 && ancestor > 1 && ancestor != root; ++depth) {
      const auto up = entries.find(ancestor);
      if (up == entries.end()) break;
      ancestor = up->second.parent;
    }
    if (ancestor == root && !entry.zombie) found.push_back({pid, entry.rss_kib});
  }
  return found;
}

pid_t descendant_with_inner_pid(pid_t root, pid_t inner) {
  for (const ProcessSample& sample : descendants_of(root)) {
    const auto text = read_text_file("/proc/" + std::to_string(sample.pid) + "/status", 1u << 16);
    const std::size_t at = text.ok() ? text->find("\nNSpid:") : std::string::npos;
    if (at == std::string::npos) continue;
    std::istringstream numbers(text->substr(at + 7, text->find('\n', at + 7) - at - 7));
    std::vector<pid_t> ids;
    for (pid_t id = 0; numbers >> id;) ids.push_back(id);
    if (ids.size() > 1 && ids.back() == inner) return sample.pid;
  }
  return 0;
}

}  // namespace ufab::jobs
