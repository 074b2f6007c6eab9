// The first blocks of a simulated chain: organisations register, pledge and stand, and the founder makes
// blocks until an epoch begins in which they vote.
#pragma once

#include <vector>

#include "accounting/chain/chain.h"

namespace ufab::sim {

struct FoundingOptions {
  std::uint64_t seed = 0;
  std::size_t validators = 4;     // each its own organisation, with pledges drawn from the seed
  std::size_t organisations = 4;  // at least as many
  std::uint64_t epoch_blocks = 8;
  std::uint64_t block_interval_ms = 500;
  std::vector<std::string> endpoints;  // of the organisations' nodes; empty: none
  bool equal_pledges = false;
  ChainParams params;  // the rest of them
};

struct Founding {
  std::vector<KeyPair> owners;      // of organisation i + 1
  std::vector<KeyPair> validators;  // of the first organisations
  std::vector<Bytes> log;           // block 0 and those after it
};

[[nodiscard]] Founding found(const FoundingOptions& options);
[[nodiscard]] KeyPair key_from(std::uint64_t seed, const char* what, std::size_t number);

inline constexpr std::uint64_t founding_time_us = 1'700'000'000'000'000;  // of the first block

}  // namespace ufab::sim
