// What the members of a simulated cluster have in common: keys, the lists of each epoch, and the way to the
// network.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "accounting/consensus/sim/rng.h"
#include "accounting/consensus/simplex.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

// What becomes of a disk for good.
enum class DiskFault : std::uint8_t {
  none,
  log_gone,     // the vote log is not there any more
  log_rot,      // a bit of it has flipped
  misdirected,  // a write went to another place of the vote log, over what was there
  disk_gone,    // the whole disk
  lying,        // says that it has synced when it has not, again and again
};

struct WorldOptions {
  std::uint64_t seed = 0;
  bool real_signatures = false;
};

class World {
 public:
  explicit World(const WorldOptions& options);

  [[nodiscard]] std::size_t size() const { return signers_.size(); }
  [[nodiscard]] const Signer& signer(std::size_t member) const { return *signers_[member]; }
  [[nodiscard]] const PublicKey& key(std::size_t member) const { return keys_[member]; }
  [[nodiscard]] std::size_t member(const PublicKey& key) const { return members_.at(key); }
  [[nodiscard]] bool dishonest(std::size_t member) const { return dishonest_[member]; }
  [[nodiscard]] const SignatureScheme& scheme() const { return *scheme_; }
  [[nodiscard]] const Digest& chain_id() const { return chain_id_; }
  // Whose disk may fail for good: it counts as faulty where lists are made. None: size().
  [[nodiscard]] std::size_t forgetful() const { return forgetful_; }
  [[nodiscard]] DiskFault disk_fault() const { return disk_fault_; }  // the forgetful member's
  // Its disk breaks promises that no protocol can do without: it may vote twice like a dishonest member.
  [[nodiscard]] bool lies(std::size_t member) const {
    return member == forgetful_ && disk_fault_ == DiskFault::lying;
  }
  // Without the faulty there is a quorum in every epoch.
  [[nodiscard]] bool live() const { return live_; }
  // The epoch after that anchor: a pure function of the seed and both arguments.
  [[nodiscard]] EpochPtr epoch(std::uint64_t number, const BlockRef& anchor);
  [[nodiscard]] EpochPtr first_epoch() { return epoch(1, {0, genesis_height, sha256("genesis")}); }

  static constexpr std::uint64_t genesis_height = 0;
  Timing timing;
  Limits limits;

 private:
  [[nodiscard]] std::vector<Validator> draw_validators(std::uint64_t number) const;

  std::uint64_t seed_;
  std::unique_ptr<SignatureScheme> scheme_;
  std::vector<std::unique_ptr<Signer>> signers_;
  std::vector<PublicKey> keys_;
  std::map<PublicKey, std::size_t> members_;
  std::vector<bool> dishonest_;
  std::size_t forgetful_ = 0;
  DiskFault disk_fault_ = DiskFault::none;
  bool live_ = true;
  Digest chain_id_;
  std::map<std::pair<std::uint64_t, Digest>, EpochPtr> epochs_;
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
