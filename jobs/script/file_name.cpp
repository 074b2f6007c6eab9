#include "jobs/script/file_name.h"

#include <algorithm>
#include <cctype>

namespace ufab::jobs {

namespace {

constexpr std::uint64_t no_task = 4294967294;  // Slurm's NO_VAL

// The number that a letter stands for; nullopt when it stands for none.
std::optional<std::uint64_t> number_of(char letter, const NameValues& values) {
  switch (letter) {
    case 'A': return values.array_job.value_or(values.job);
    case 'a': return values.array_task ? std::uint64_t{*values.array_task} : no_task;
    case 'J':
    case 'j': return values.job;
    case 'n':
    case 't': return 0;
    default: return std::nullopt;
  }
}

const std::string* text_of(char letter, const NameValues& values) {
  static const std::string percent = "%";
  static const std::string batch = "batch";
  switch (letter) {
    case '%': return &percent;
    case 'N': return &values.node;
    case 's': return &batch;
    case 'u': return &values.user;
    case 'x': return &values.job_name;
    default: return nullptr;
  }
}

}  // namespace

std::string_view default_output(bool array) {
  return array ? "slurm-%A_%a.out" : "slurm-%j.out";
}

std::string expand_file_name(std::string_view pattern, const NameValues& values) {
  std::string out;
  if (pattern.find('\\') != std::string_view::npos) {
    std::copy_if(pattern.begin(), pattern.end(), std::back_inserter(out), [](char c) { return c != '\\'; });
    return out;
  }
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '%' || i + 1 == pattern.size()) {
      out.push_back(pattern[i]);
      continue;
    }
    std::size_t at = i + 1;
    std::size_t width = 0;
    while (at < pattern.size() && std::isdigit(static_cast<unsigned char>(pattern[at])) != 0 && at - i <= 2) {
      width = width * 10 + static_cast<std::size_t>(pattern[at] - '0');
      ++at;
    }
    width = std::min<std::size_t>(width, 10);  // Slurm's own bound
    const char letter = at < pattern.size() ? pattern[at] : '\0';
    if (const auto number = number_of(letter, values)) {
      const std::string digits = std::to_string(*number);
      if (digits.size() < width) out.append(width - digits.size(), '0');
      out += digits;
    } else if (const std::string* text = text_of(letter, values)) {
      out += *text;
    } else {
      out += pattern.substr(i, at - i + (letter != '\0' ? 1 : 0));
    }
    i = letter != '\0' ? at : at - 1;
  }
  return out;
}

}  // namespace ufab::jobs
