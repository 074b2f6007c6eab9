#include "fabric/train/sample.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "fabric/data/corpus.h"
#include "fabric/train/checkpoint.h"
#include "kernels/philox.h"

namespace ufab {

namespace {

// A token drawn from softmax(logits / temperature) by one uniform number in [0, 1).
std::int32_t draw(std::span<const float> logits, double temperature, double uniform) {
  const auto best = std::max_element(logits.begin(), logits.end());
  if (temperature <= 0) return static_cast<std::int32_t>(best - logits.begin());
  std::vector<double> weights;
  double sum = 0;
  for (const float logit : logits) {
    weights.push_back(std::exp((static_cast<double>(logit) - static_cast<double>(*best)) / temperature));
    sum += weights.back();
  }
  double left = uniform * sum;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return static_cast<std::int32_t>(i);
  }
  return static_cast<std::int32_t>(best - logits.begin());
}

}  // namespace

Result<std::string> sample_text(const SampleOptions& options,
                                const std::function<void(std::uint32_t)>& progress) {
  if (options.tokens > kSampleTokensMax) {
    return Error{ErrorCode::usage,
                 fmt::format("{} tokens: at most {} are possible", options.tokens, kSampleTokensMax)};
  }
  if (!(options.temperature >= 0 && options.temperature <= 100)) {
    return Error{ErrorCode::usage, fmt::format("temperature {}: 0 to 100 is possible", options.temperature)};
  }
  UFAB_ASSIGN(const Checkpoint checkpoint, load_checkpoint(options.checkpoint));
  UFAB_ASSIGN(const Corpus corpus, Corpus::load(options.corpus));
  const kernels::ModelConfig& config = checkpoint.info.model;
  // An imported model names no corpus: then the tokenizer is the caller's to choose.
  if (checkpoint.info.corpus.is_zero() && static_cast<int>(corpus.info().vocab_size) != config.vocab_size) {
    return Error{ErrorCode::conflict,
                 fmt::format("{} has a vocabulary of {}, {} one of {}", options.checkpoint, config.vocab_size,
                             options.corpus, corpus.info().vocab_size)};
  }
  if (!checkpoint.info.corpus.is_zero() && corpus.info().digest != checkpoint.info.corpus) {
    return Error{ErrorCode::conflict,
                 fmt::format("{} was trained on corpus {}, {} is {}", options.checkpoint,
                             checkpoint.info.corpus.str(), options.corpus, corpus.info().digest.str())};
  }
  UFAB_ASSIGN(std::vector<std::int32_t> tokens,
              corpus.tokenizer().encode(options.prompt.empty() ? "\n" : options.prompt));
  const auto backend = kernels::make_backend(kernels::BackendKind::cpu, std::max(options.threads, 1));
  if (!backend) return Error{ErrorCode::usage, fmt::format("{} threads are not possible", options.threads)};
  kernels::Model model(config, 1, 1, *backend);
  std::vector<float> logits(static_cast<std::size_t>(config.vocab_size));
  constexpr std::uint64_t kTextStream = 0x7465787400000001;
  for (std::uint32_t i = 0; i < options.tokens; ++i) {
    const std::size_t seen = std::min(tokens.size(), static_cast<std::size_t>(config.context));
    model.next_token_logits(checkpoint.state.params, std::span(tokens).last(seen), logits);
    const auto block = kernels::philox_block(options.seed ^ kTextStream, 0, i);
    tokens.push_back(draw(logits, options.temperature, static_cast<double>(block[0]) / 4294967296.0));
    if (progress) progress(i + 1);
  }
  return corpus.tokenizer().decode(tokens);
}

}  // namespace ufab
