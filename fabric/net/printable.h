// What a stranger wrote, for terminals and logs: one line of printable ASCII, at most size_max long. Every
// other byte becomes '?', so that nobody forges a line of a log or sends a terminal commands.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace ufab {

[[nodiscard]] inline std::string printable_line(std::string_view text, std::size_t size_max) {
  std::string line(text.substr(0, size_max));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

}  // namespace ufab
