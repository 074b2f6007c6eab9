#include "jobs/script/array.h"

#include <bitset>

#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

using TaskSet = std::bitset<max_array_size>;

Error malformed(std::string_view text) {
  return {ErrorCode::invalid,
          "'" + std::string(text) +
              "' is not an array such as 0-15, 1,3,5, 1-9:2 or 0-15%4 with indices below " +
              std::to_string(max_array_size)};
}

bool read_index(std::string_view text, std::uint32_t& index) {
  const auto number = parse_count(text, 0, max_array_size - 1);
  if (!number) return false;
  index = static_cast<std::uint32_t>(*number);
  return true;
}

bool read_item(std::string_view item, TaskSet& tasks, std::uint32_t& step) {
  if (item.starts_with('+')) item.remove_prefix(1);
  const std::size_t dash = item.find('-');
  std::uint32_t first = 0;
  if (dash == std::string_view::npos) {
    if (!read_index(item, first)) return false;
    tasks.set(first);
    return true;
  }
  std::string_view behind = item.substr(dash + 1);
  const std::size_t colon = behind.find(':');
  std::uint32_t last = 0;
  step = 1;
  if (colon != std::string_view::npos) {
    if (!read_index(behind.substr(colon + 1), step) || step == 0) return false;
    behind = behind.substr(0, colon);
  }
  if (!read_index(item.substr(0, dash), first) || !read_index(behind, last) || last < first) return false;
  for (std::uint32_t index = first; index <= last; index += step) tasks.set(index);
  return true;
}

}  // namespace

Result<ArrayRequest> parse_array(std::string_view text) {
  std::string list;
  ArrayRequest array;
  // The first % ends the throttle's digits; a comma behind them goes on with the list.
  std::string_view rest = text;
  if (const std::size_t percent = rest.find('%'); percent != std::string_view::npos) {
    list = rest.substr(0, percent);
    rest.remove_prefix(percent + 1);
    std::uint64_t throttle = 0;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9' && throttle < 1'000'000) {
      throttle = throttle * 10 + static_cast<std::uint64_t>(rest.front() - '0');
      rest.remove_prefix(1);
    }
    array.throttle = static_cast<std::uint32_t>(throttle);
    if (rest.starts_with(',')) list += rest;
  } else {
    list = rest;
  }
  std::string_view items = list;
  while (items.starts_with(' ')) items.remove_prefix(1);
  if (items.starts_with('[')) {
    if (!items.ends_with(']')) return malformed(text);
    items = items.substr(1, items.size() - 2);
  }
  TaskSet tasks;
  while (!items.empty()) {
    const std::size_t comma = items.find(',');
    const std::string_view item = items.substr(0, comma);
    if (!item.empty() && !read_item(item, tasks, array.step)) return malformed(text);
    items.remove_prefix(comma == std::string_view::npos ? items.size() : comma + 1);
  }
  if (tasks.none()) return malformed(text);
  for (std::uint32_t index = 0; index < max_array_size; ++index) {
    if (tasks.test(index)) array.tasks.push_back(index);
  }
  return array;
}

std::string format_array(const ArrayRequest& array) {
  std::string text;
  for (std::size_t at = 0; at < array.tasks.size();) {
    std::size_t end = at + 1;
    while (end < array.tasks.size() && array.tasks[end] == array.tasks[end - 1] + 1) ++end;
    text += (text.empty() ? "" : ",") + std::to_string(array.tasks[at]);
    if (end - at > 1) text += "-" + std::to_string(array.tasks[end - 1]);
    at = end;
  }
  if (array.throttle != 0) text += "%" + std::to_string(array.throttle);
  return text;
}

}  // namespace ufab::jobs
