#include "fabric/train/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/philox.h"

namespace ufab {

namespace {

constexpr double kPi = 3.14159265358979323846;

// Taylor series for |t| <= pi / 4: the first term left out is below 1e-17.
double cosine_small(double t) {
  const double s = t * t;
  double sum = 1.0;
  for (int k = 9; k >= 1; --k) sum = std::fma(-s / ((2.0 * k - 1) * (2.0 * k)), sum, 1.0);
  return sum;
}
double sine_small(double t) {
  const double s = t * t;
  double sum = 1.0;
  for (int k = 9; k >= 1; --k) sum = std::fma(-s / ((2.0 * k) * (2.0 * k + 1)), sum, 1.0);
  return t * sum;
}

std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
}

}  // namespace

double cosine_pi(double x) {
  if (x > 0.5) return -cosine_pi(1.0 - x);
  if (x > 0.25) return sine_small(kPi * (0.5 - x));
  return cosine_small(kPi * x);
}

float learning_rate_at(const JobDefinition& d, std::uint64_t step) {
  const auto steps = static_cast<std::uint64_t>(d.steps);
  const auto warmup = static_cast<std::uint64_t>(d.warmup_steps);
  if (step <= warmup) {
    return static_cast<float>(d.learning_rate * static_cast<double>(step) / static_cast<double>(warmup + 1));
  }
  const std::uint64_t span = std::max<std::uint64_t>(steps - warmup, 2) - 1;
  const double progress = static_cast<double>(step - warmup - 1) / static_cast<double>(span);
  const double factor = 0.5 * (1.0 + cosine_pi(std::min(progress, 1.0)));
  return static_cast<float>(std::fma(factor, d.learning_rate - d.min_learning_rate, d.min_learning_rate));
}

Result<Split> split_corpus(const JobDefinition& d, std::uint64_t tokens) {
  Split split;
  split.eval_tokens = static_cast<std::uint64_t>(static_cast<double>(tokens) * d.eval_fraction);
  split.train_tokens = tokens - split.eval_tokens;
  const auto need = static_cast<std::uint64_t>(d.seq_len) + 1;
  if (split.train_tokens < need || (d.eval_fraction > 0 && split.eval_tokens < need)) {
    return Error{ErrorCode::invalid,
                 fmt::format("the corpus has {} tokens to train and {} to evaluate; a sequence takes {}",
                             split.train_tokens, split.eval_tokens, need)};
  }
  return split;
}

std::uint64_t sample_start(const JobDefinition& d, const Split& split, std::uint64_t step,
                           std::uint64_t micro_batch, std::uint64_t sequence) {
  constexpr std::uint64_t kSampleStream = 0x73616D706C650001;  // apart from the initial values' stream
  const std::uint64_t sample = micro_batch * static_cast<std::uint64_t>(d.micro_batch) + sequence;
  const auto block = kernels::philox_block(static_cast<std::uint64_t>(d.seed) ^ kSampleStream, step, sample);
  const std::uint64_t word = (std::uint64_t{block[1]} << 32) | block[0];
  return multiply_high(word, split.train_tokens - static_cast<std::uint64_t>(d.seq_len));
}

std::uint64_t eval_start(const JobDefinition& d, const Split& split, std::uint64_t batch,
                         std::uint64_t sequence) {
  const auto total = static_cast<std::uint64_t>(d.eval_batches * d.micro_batch);
  const std::uint64_t index = batch * static_cast<std::uint64_t>(d.micro_batch) + sequence;
  const std::uint64_t begin = split.eval_tokens == 0 ? 0 : split.train_tokens;
  const std::uint64_t part = split.eval_tokens == 0 ? split.train_tokens : split.eval_tokens;
  const std::uint64_t last = part - static_cast<std::uint64_t>(d.seq_len) - 1;
  if (total <= 1) return begin;
  return begin + last / (total - 1) * index + last % (total - 1) * index / (total - 1);
}

}  // namespace ufab
