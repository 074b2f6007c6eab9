#include "jobs/script/tres.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

constexpr std::uint64_t count_max = 1'000'000'000;

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
}

// "2", "1k"; nullopt when it is no count.
std::optional<std::uint64_t> read_count(std::string_view text) {
  std::uint64_t unit = 1;
  if (!text.empty()) {
    const int letter = std::tolower(static_cast<unsigned char>(text.back()));
    if (letter == 'k') unit = 1024;
    if (letter == 'm') unit = 1024 * 1024;
    if (unit != 1) text.remove_suffix(1);
  }
  const auto number = parse_count(text, 0, count_max);
  if (!number || *number * unit > count_max) return std::nullopt;
  return *number * unit;
}

bool starts_like_a_number(std::string_view text) {
  return !text.empty() &&
         (std::isdigit(static_cast<unsigned char>(text.front())) != 0 || text.front() == '-');
}

// [TYPE ":"] COUNT | TYPE, behind a name.
bool read_type_and_count(std::string_view text, GenericResource& resource) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos && !starts_like_a_number(text)) {
    resource.type = text;
    return is_name(text);
  }
  if (colon != std::string_view::npos) {
    resource.type = text.substr(0, colon);
    if (!is_name(resource.type) || starts_like_a_number(resource.type)) return false;
    text.remove_prefix(colon + 1);
  }
  const auto count = read_count(text);
  if (!count) return false;
  resource.count = *count;
  return true;
}

Result<GenericResources> parse_list(std::string_view text, bool named) {
  const std::string example = named ? "gpu:2 or gpu:a100:2" : "2 or a100:2";
  GenericResources resources;
  std::string_view rest = text;
  for (;;) {
    const std::size_t comma = rest.find(',');
    std::string_view item = rest.substr(0, comma);
    GenericResource resource{"gpu", {}, 1};
    bool read = false;
    if (named) {
      if (item.starts_with("gres:")) item.remove_prefix(5);
      const std::size_t colon = item.find(':');
      resource.name = item.substr(0, colon);
      read = is_name(resource.name) &&
             (colon == std::string_view::npos || read_type_and_count(item.substr(colon + 1), resource));
    } else {
      read = read_type_and_count(item, resource);
    }
    if (!read) {
      return Error{ErrorCode::invalid, "'" + std::string(text) + "' is not a list such as " + example};
    }
    for (const GenericResource& other : resources) {
      if (other.name == resource.name && other.type.empty() != resource.type.empty()) {
        return Error{ErrorCode::invalid,
                     "'" + std::string(text) + "' names " + resource.name + " with a type and without one"};
      }
    }
    resources.push_back(std::move(resource));
    if (comma == std::string_view::npos) return resources;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

Result<GenericResources> parse_gres(std::string_view text) {
  if (text == "none" || text == "NONE") return GenericResources{};
  return parse_list(text, true);
}

Result<GenericResources> parse_gpus(std::string_view text) {
  return parse_list(text, false);
}

std::uint64_t count_of(const GenericResources& resources, std::string_view name) {
  std::uint64_t count = 0;
  for (const GenericResource& resource : resources) {
    if (resource.name == name) count += resource.count;
  }
  return count;
}

}  // namespace ufab::jobs
