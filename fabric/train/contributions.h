// What one provider says that it contributed in one window, step by step: the evidence behind a receipt.
//
// On disk, contributions/window-000003.bin, the canonical encoding (fabric/base/codec.h) of
//   text "ufab.contributions/1", u32 window, u64 first_step, u32 first_micro_batch, u32 micro_batches (per
//   step), u32 steps, then per step 32 bytes sum_digest and micro_batches times u64 fingerprint.
// sum_digest = SHA-256(text "ufab.sum/2", tree("ufab.sum.values/2", SHA-256 of each 1 MiB chunk of the
// provider's integer gradient sum as little-endian i32; fabric/train/state.h), u32 tensors, per tensor u64
// peak). Peaks (kernels/gradient.h) are covered because the next step's exponents follow from them. A
// fingerprint (kernels/gradient.h) localises one wrong micro-batch. root() is the RFC 9162 Merkle tree hash
// over the steps' encodings (0x00 leaf, 0x01 node).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fabric/base/digest.h"

namespace ufab {

struct StepContribution {
  Digest sum_digest;
  std::vector<std::uint64_t> fingerprints;  // one per own micro-batch

  friend bool operator==(const StepContribution&, const StepContribution&) = default;
};

struct Contributions {
  std::uint32_t window = 0;
  std::uint64_t first_step = 0;
  std::uint32_t first_micro_batch = 0;
  std::uint32_t micro_batches = 0;
  std::vector<StepContribution> steps;

  friend bool operator==(const Contributions&, const Contributions&) = default;
  [[nodiscard]] Digest root() const;
};

inline constexpr std::size_t kContributionsMax = std::size_t{1} << 28;  // bytes of one file

[[nodiscard]] Bytes encode_contributions(const Contributions& contributions);
[[nodiscard]] Result<Contributions> decode_contributions(ByteView bytes);
// "FOLDER/contributions/window-000003.bin"
[[nodiscard]] std::string contributions_path(const std::string& folder, std::uint64_t window);
[[nodiscard]] Result<Contributions> load_contributions(const std::string& path);

[[nodiscard]] Digest sum_digest(std::span<const Digest> leaves, std::span<const std::uint64_t> peaks);
[[nodiscard]] inline ByteView sum_bytes(std::span<const std::int32_t> sums) {
  return {reinterpret_cast<const std::uint8_t*>(sums.data()), sums.size_bytes()};
}

}  // namespace ufab
