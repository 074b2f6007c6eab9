// Who votes in an epoch, with what weight and stake, and what a quorum is. Immutable once made; thread-safe.
//
// A quorum has more than two thirds of the total weight AND more than two thirds of the total stake. Products
// are formed in 128 bits, nothing is divided, so nothing is rounded: 3 × part > 2 × total.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "accounting/consensus/flaws.h"
#include "fabric/base/digest.h"
#include "fabric/base/sign.h"

namespace ufab::consensus {

using View = std::uint64_t;
using Seat = std::uint16_t;  // a validator's place in its epoch's list, from 0

inline constexpr std::size_t validators_max = 512;

}  // namespace ufab::consensus

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

struct Validator {
  PublicKey key;
  std::uint64_t weight = 0;
  std::uint64_t stake = 0;  // micro-UNC

  friend bool operator==(const Validator&, const Validator&) = default;
};

class ValidatorSet {
 public:
  // invalid: no validators or more than validators_max, a key twice, a total of zero or above 64 bits. A
  // single validator may weigh nothing: it votes, and counts for nothing.
  [[nodiscard]] static Result<ValidatorSet> make(std::vector<Validator> validators);

  [[nodiscard]] std::size_t size() const { return validators_.size(); }
  [[nodiscard]] const Validator& operator[](Seat seat) const;
  [[nodiscard]] const std::vector<Validator>& all() const { return validators_; }
  [[nodiscard]] std::optional<Seat> find(const PublicKey& key) const;
  [[nodiscard]] std::uint64_t weight_total() const { return weight_total_; }
  [[nodiscard]] std::uint64_t stake_total() const { return stake_total_; }

 private:
  ValidatorSet() = default;
  std::vector<Validator> validators_;
  std::map<PublicKey, Seat> seats_;
  std::uint64_t weight_total_ = 0, stake_total_ = 0;
};

// The sum of some of a set's validators. The caller adds no seat twice.
class Tally {
 public:
  explicit Tally(const ValidatorSet& set) : set_(set) {}
  void add(Seat seat);
  [[nodiscard]] bool is_quorum() const;

 private:
  const ValidatorSet& set_;
  std::uint64_t weight_ = 0, stake_ = 0;
  std::uint64_t count_ = 0;
};

// Who proposes in a view: a pure function, the same on every node.
using LeaderSchedule = std::function<Seat(View)>;

// Each view's leader is drawn from the seed with probability weight / Σ weights.
[[nodiscard]] LeaderSchedule weighted_leaders(const Digest& seed, const ValidatorSet& set);

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
