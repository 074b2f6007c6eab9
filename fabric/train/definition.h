// The definition of a training job: all that decides the result, together with the corpus.
//
// TOML, every key optional but those marked *; an unknown key, a wrong type and a value out of range are
// errors that name file and line:
//   precision = "exact" (as train.format: "fast" is bf16, whose bits are those of one kind of machine)
//   [model]  family = "gpt2" or "llama", layers *, heads *, width *, context *  (the vocabulary is the
//   corpus's),
//            for "llama" alone (kernels/model.h): kv_heads = heads, hidden = 8/3 of the width rounded up to a
//            multiple of 32, rope_theta = 10000, norm_epsilon = 1e-5, tied = false (the head is the
//            embedding), init_digest = "sha256:..." (parameters to start from, see first_state.h; absent:
//            random ones)
//   [data]   corpus = "corpus.h5" (relative to the definition's folder), eval_fraction = 0.1
//   [train]  steps *, micro_batch = 4 (sequences), micro_batches = 8 (per step), seq_len = context,
//            learning_rate = 1e-3, min_learning_rate = 1e-4, warmup_steps = 0, beta1 = 0.9, beta2 = 0.95,
//            epsilon = 1e-8, weight_decay = 0.1, grad_clip = 1.0 (0: off), seed = 1,
//            format = "f32" (of the linear layers' products: "f32", "int12" or "int8", kernels/integer.h, or
//            "bf16", kernels/bf16.h, which is what precision = "fast" means),
//            window = 100 (steps per window), eval_every = 100 (0: only at the end), eval_batches = 8
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fabric/base/digest.h"
#include "kernels/model.h"

namespace ufab {

inline constexpr std::int64_t kMicroBatchesMax = 65536;  // per step

struct JobDefinition {
  std::string precision = "exact";
  std::string family = "gpt2";
  std::int64_t layers = 0, heads = 0, width = 0, context = 0;
  // Of the llama family; a definition that was parsed has them all, one of GPT-2 none.
  std::int64_t kv_heads = 0, hidden = 0;
  double rope_theta = 0, norm_epsilon = 0;
  std::optional<bool> tied;
  std::string init_digest;  // empty, or as Digest::str() writes it
  std::string corpus;
  double eval_fraction = 0.1;
  std::int64_t steps = 0, micro_batch = 4, micro_batches = 8, seq_len = 0;
  double learning_rate = 1e-3, min_learning_rate = 1e-4;
  std::int64_t warmup_steps = 0;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1, grad_clip = 1.0;
  std::int64_t seed = 1;
  std::string format = "f32";
  std::int64_t window = 100, eval_every = 100, eval_batches = 8;

  friend bool operator==(const JobDefinition&, const JobDefinition&) = default;

  // The same bits whoever computes: what re-execution can verify.
  [[nodiscard]] bool is_exact() const { return precision == "exact"; }
  [[nodiscard]] std::uint64_t tokens_per_step() const {
    return static_cast<std::uint64_t>(micro_batch * micro_batches * seq_len);
  }
  // Windows are numbered from 0; window w is the steps w * window + 1 .. min((w + 1) * window, steps).
  [[nodiscard]] std::uint64_t window_count() const {
    return static_cast<std::uint64_t>((steps + window - 1) / window);
  }
  [[nodiscard]] kernels::ModelConfig model(std::uint32_t vocab_size) const;
  // Of a definition that was parsed.
  [[nodiscard]] kernels::MatmulFormat matmul_format() const {
    return kernels::format_from_name(format).value_or(kernels::MatmulFormat::f32);
  }
};

// ("train.steps", "500"): values that override the file's, written as in TOML; strings need no quotes.
using DefinitionOverrides = std::vector<std::pair<std::string, std::string>>;

// `name` stands in messages and gives the folder that data.corpus is relative to.
[[nodiscard]] Result<JobDefinition> parse_definition(std::string_view toml, const std::string& name,
                                                     const DefinitionOverrides& overrides = {});
[[nodiscard]] Result<JobDefinition> load_definition(const std::string& path,
                                                    const DefinitionOverrides& overrides = {});

// SHA-256 of the canonical encoding: text "ufab.definition/1", u32 kernels' semantics version, the corpus's
// digest (32 bytes), then every key but data.corpus in the order of the table above as text key and text
// value (integers in decimal, reals as the shortest decimal that reads back equal, flags as true or false);
// model.init_digest only when it is there, and the keys of the llama family only in it, so that a definition
// without them has the digest that it had before the keys existed.
[[nodiscard]] Digest definition_digest(const JobDefinition& definition, const Digest& corpus);

}  // namespace ufab
