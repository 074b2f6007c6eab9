// Text from a trained model.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "fabric/base/result.h"

namespace ufab {

struct SampleOptions {
  std::string checkpoint;  // of fabric/train/checkpoint.h; it names the model's shape
  std::string corpus;      // for its tokenizer
  std::string prompt;      // empty: a newline
  std::uint32_t tokens = 200;
  double temperature = 0.8;  // 0: always the most likely token
  std::uint64_t seed = 1;
  int threads = 1;
};

inline constexpr std::uint32_t kSampleTokensMax = 100'000;

// The prompt and its continuation, the same for the same options. `progress`, when given, receives
// the number of tokens made so far.
[[nodiscard]] Result<std::string> sample_text(const SampleOptions& options,
                                              const std::function<void(std::uint32_t)>& progress = {});

}  // namespace ufab
