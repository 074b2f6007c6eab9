#include <charconv>

#include "accounting/audit/audit.h"

namespace ufab {

namespace {

// The number after `word`, if the text begins with both; they go from it.
template <class Number>
std::optional<Number> take_number(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return std::nullopt;
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, wrong] = std::from_chars(text.data() + word.size(), end, number);
  if (wrong != std::errc()) return std::nullopt;
  text = {rest, static_cast<std::size_t>(end - rest)};
  return number;
}

}  // namespace

AuditPlace audit_place(const Error& error) {
  constexpr std::string_view block = "block ";
  std::string_view line = error.message;
  AuditPlace place;
  place.block = take_number<std::uint64_t>(line, block);
  // Of the checkpoint: "link N (block H): …", "its head is block H, …" and the like.
  if (line.starts_with("checkpoint: ")) {
    for (; !place.block && !line.empty(); line.remove_prefix(1))
      place.block = take_number<std::uint64_t>(line, block);
  }
  if (place.block) place.record = take_number<std::uint32_t>(line, " record ");
  return place;
}

}  // namespace ufab
