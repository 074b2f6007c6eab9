// One lane of a benchmark: a small training with the project's exact kernels that nobody can know the result
// of without doing it. A pure function of (seed, repeats): the same digest on every backend, with any number
// of threads, at any time. What a chain does with it is in accounting/records/enrolment.h.
//
//   model      GPT-2: vocabulary 256, context 64, 4 layers, 4 heads, width 128; micro-batch of 8 sequences;
//              initial parameters from Philox, key: the first eight bytes of the seed, little-endian
//   repeat r   kLanePasses optimizer steps (AdamW at its defaults, integer gradient sums). Input and target
//              tokens of step s are Philox words of key k, position (s, i), k from digest r − 1: the low byte
//              of each word, inputs first, then targets; digest 0 is the seed
//   digest r   SHA-256("ufab lane repeat 1\n" || digest r − 1 || the parameters' little-endian bytes)
//
// So each repeat needs the whole of the one before: its data and its parameters.
#pragma once

#include <cstdint>
#include <memory>

#include "fabric/base/digest.h"
#include "kernels/backend.h"

namespace ufab {

inline constexpr int kLanePasses = 4;
// Operations of one repeat, by the model's definition.
[[nodiscard]] std::uint64_t lane_flop_per_repeat();
[[nodiscard]] std::uint64_t lane_tokens_per_repeat();

class Lane {
 public:
  // The backend must outlive the lane. Not thread-safe.
  Lane(const Digest& seed, kernels::Backend& backend);
  ~Lane();
  Lane(Lane&&) noexcept;
  // One more; returns the digest after it.
  Digest repeat();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The digest after `repeats` of them, at least one.
[[nodiscard]] Digest run_lane(const Digest& seed, std::uint64_t repeats, kernels::Backend& backend);

}  // namespace ufab
