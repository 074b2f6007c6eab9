#include "fabric/train/memory_left.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace ufab {

namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& path) {
  std::ifstream file(path);
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// nullopt for "max", "unlimited" and anything else that is no number.
std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

// The number after `key`, the first word of a line: "MemAvailable: 12 kB", "inactive_file 4096".
std::optional<std::uint64_t> field(const Lines& lines, std::string_view key) {
  for (const std::string& line : lines) {
    const auto words = words_of(line);
    if (words.size() >= 2 && words[0] == key) return number(words[1]);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> only_number(const std::string& path) {
  const Lines lines = lines_of(path);
  return lines.empty() ? std::nullopt : number(lines[0]);
}

std::uint64_t minus(std::uint64_t a, std::uint64_t b) {
  return a > b ? a - b : 0;
}

std::optional<std::uint64_t> available_bytes(const std::string& root) {
  const auto kib = field(lines_of(root + "/proc/meminfo"), "MemAvailable:");
  if (!kib) return std::nullopt;
  return *kib * 1024;
}

std::optional<std::uint64_t> address_space_left(const std::string& root) {
  for (const std::string& line : lines_of(root + "/proc/self/limits")) {
    constexpr std::string_view kName = "Max address space";
    if (!line.starts_with(kName)) continue;
    const auto words = words_of(line.substr(kName.size()));
    const auto limit = words.empty() ? std::nullopt : number(words[0]);
    const auto used_kib = field(lines_of(root + "/proc/self/status"), "VmSize:");
    if (!limit || !used_kib) return std::nullopt;
    return minus(*limit, *used_kib * 1024);
  }
  return std::nullopt;
}

// The files of one version of control groups.
struct CgroupFiles {
  const char *limit, *usage, *inactive, *active;
};
constexpr CgroupFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file",
                                "total_active_file"};
constexpr CgroupFiles kVersion2{"memory.max", "memory.current", "inactive_file", "active_file"};

std::optional<std::uint64_t> cgroup_left(const std::string& folder, const CgroupFiles& files) {
  const auto limit = only_number(folder + "/" + files.limit);
  const auto usage = only_number(folder + "/" + files.usage);
  if (!limit || !usage) return std::nullopt;
  const Lines stat = lines_of(folder + "/memory.stat");
  const std::uint64_t droppable =
      field(stat, files.inactive).value_or(0) + field(stat, files.active).value_or(0);
  return minus(*limit, minus(*usage, droppable));
}

struct CgroupMount {
  std::string root, point;  // the group that is mounted, and where
  bool version2 = false;
};

bool has_item(const std::string& list, std::string_view item) {
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    if (std::string_view(list).substr(at, end - at) == item) return true;
    at = end + 1;
  }
  return false;
}

// A line of /proc/self/mountinfo: id, parent, device, root, point, options, [tags], "-", type, source,
// options of the file system.
std::optional<CgroupMount> cgroup_mount(const std::string& line) {
  const auto words = words_of(line);
  const auto dash = std::find(words.begin(), words.end(), "-");
  if (words.size() < 6 || words.end() - dash < 4) return std::nullopt;
  if (dash[1] == "cgroup2") return CgroupMount{words[3], words[4], true};
  if (dash[1] == "cgroup" && has_item(dash[3], "memory")) return CgroupMount{words[3], words[4], false};
  return std::nullopt;
}

// The process's group below the mount: of the line "0::PATH" for version 2, "N:memory:PATH" for version 1.
std::optional<std::string> group_path(const Lines& groups, const CgroupMount& mount) {
  for (const std::string& line : groups) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (mount.version2 ? !controllers.empty() : !has_item(controllers, "memory")) continue;
    std::string path = line.substr(second + 1);
    // Inside a container the mount shows only the container's own group.
    if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
    return path;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> smaller(std::optional<std::uint64_t> a, std::optional<std::uint64_t> b) {
  if (!a) return b;
  return b ? std::min(*a, *b) : a;
}

std::optional<std::uint64_t> cgroups_left(const std::string& root) {
  const Lines groups = lines_of(root + "/proc/self/cgroup");
  std::optional<std::uint64_t> least;
  for (const std::string& line : lines_of(root + "/proc/self/mountinfo")) {
    const auto mount = cgroup_mount(line);
    if (!mount) continue;
    std::string path = group_path(groups, *mount).value_or("");
    for (;;) {
      least =
          smaller(least, cgroup_left(root + mount->point + path, mount->version2 ? kVersion2 : kVersion1));
      const std::size_t slash = path.rfind('/');
      if (slash == std::string::npos) break;
      path.erase(slash);
    }
  }
  return least;
}

}  // namespace

MemoryLeft memory_left(const MemoryQuestion& question) {
  MemoryLeft left;
  const auto consider = [&](std::optional<std::uint64_t> bytes, int sharers, const char* source) {
    if (!bytes) return;
    const std::uint64_t each = *bytes / static_cast<std::uint64_t>(sharers);
    if (each < left.bytes) left = {each, source, sharers};
  };
  const int ranks = std::max(question.local_ranks, 1);
  if (question.option_bytes > 0) {
    const auto occupied = question.own_bytes * static_cast<std::uint64_t>(ranks);
    consider(minus(question.option_bytes, occupied), ranks, "--memory");
  }
  consider(cgroups_left(question.root), ranks, "cgroup limit");
  consider(available_bytes(question.root), ranks, "MemAvailable");
  consider(address_space_left(question.root), 1, "RLIMIT_AS");
  if (question.device) {
    const int devices = question.device->devices;
    consider(question.device->bytes, (ranks + devices - 1) / devices, "GPU memory");
  }
  return left;
}

ResidentMemory resident_memory(const std::string& root) {
  const Lines status = lines_of(root + "/proc/self/status");
  return {field(status, "VmRSS:").value_or(0) * 1024, field(status, "RssFile:").value_or(0) * 1024};
}

}  // namespace ufab
