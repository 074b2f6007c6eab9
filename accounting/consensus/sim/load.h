// What the members of a federation write into the ledger in an hour, in the actual sizes of the records'
// encodings: the load of simulations of the consensus (accounting/consensus/sim/scale.h). A model, to be read
// and argued with: rates are stated here, sizes are measured.
//
// Each provider, in each epoch of the default parameters: one receipt batch over two windows, and one
// countersignature of both by another member of its gang; one reward. A twentieth of a gang's windows is
// re-executed: a vote, a verdict and a score each. Gangs have four members. Each provider takes part in one
// job an hour: a lease and a usage import by each member, an order, an attempt, a validation and a settlement
// for each gang. Derived records are in blocks too, and count.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ufab::consensus {

struct LoadPart {
  std::string record;          // its type
  std::uint64_t size = 0;      // bytes in a block, with its length
  std::uint64_t per_hour = 0;  // of all providers
  bool is_signed = false;      // otherwise derived
};

struct Load {
  std::vector<LoadPart> parts;
  std::uint64_t block_size = 0;  // bytes of a ledger block without records

  [[nodiscard]] std::uint64_t records_per_hour() const;
  [[nodiscard]] std::uint64_t signed_per_hour() const;
  [[nodiscard]] std::uint64_t bytes_per_hour() const;
};

// Precondition: at most providers_max.
inline constexpr std::uint64_t providers_max = 100'000'000;
[[nodiscard]] Load load_of(std::uint64_t providers);

}  // namespace ufab::consensus
