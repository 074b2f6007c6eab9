#include "jobs/cli/seeds.h"

#include <algorithm>
#include <charconv>
#include <thread>
#include <vector>

namespace ufab::jobs {

namespace {

Result<std::uint64_t> parse_seed(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    return Error{ErrorCode::usage, "--seeds is A..B, two whole numbers, not '" + std::string(text) + "'"};
  return value;
}

}  // namespace

Result<SeedRange> parse_seeds(const std::string& text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos)
    return Error{ErrorCode::usage, "--seeds is A..B, two whole numbers, not '" + text + "'"};
  SeedRange range;
  UFAB_ASSIGN(range.first, parse_seed(std::string_view(text).substr(0, dots)));
  UFAB_ASSIGN(range.last, parse_seed(std::string_view(text).substr(dots + 2)));
  if (range.first > range.last || range.last - range.first >= 100'000'000)
    return Error{ErrorCode::usage,
                 "--seeds " + text + ": A is at most B, and they are fewer than 100,000,000"};
  return range;
}

void run_seeds(const SeedRange& range,
               const std::function<void(std::uint64_t seed, std::atomic<std::uint64_t>& until)>& run) {
  std::atomic<std::uint64_t> next = range.first;
  std::atomic<std::uint64_t> until = range.last;
  const auto work = [&] {
    for (std::uint64_t seed = next++; seed <= until; seed = next++) run(seed, until);
  };
  std::vector<std::thread> threads;
  const std::uint64_t count = std::min<std::uint64_t>(std::max(1U, std::thread::hardware_concurrency()),
                                                      range.last - range.first + 1);
  for (std::uint64_t i = 0; i < count; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace ufab::jobs
