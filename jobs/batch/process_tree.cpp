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

}  // namespace ufab::jobs
