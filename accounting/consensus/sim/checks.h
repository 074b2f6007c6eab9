// What must hold in a simulated cluster, checked from outside: nothing here uses the code that it judges,
// beyond encodings and the injected signature scheme.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "accounting/consensus/simplex.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

// The certificate's signers signed, are of this list, and have more than two thirds of its weight and of
// its stake.
[[nodiscard]] bool truly_certified(const Digest& chain_id, const std::vector<Validator>& validators,
                                   const Certificate& certificate, const SignatureScheme& scheme);
[[nodiscard]] bool truly_signed(const Digest& chain_id, const std::vector<Validator>& validators,
                                const Vote& vote, const SignatureScheme& scheme);

class Checks {
 public:
  Checks(const SignatureScheme& scheme, const Digest& chain_id, std::uint64_t genesis_height)
      : scheme_(scheme), chain_id_(chain_id), genesis_height_(genesis_height) {}

  void declare_honest(const PublicKey& key) { honest_.insert(key); }
  // An honest node sends a vote (or, as propose, a proposal) of its own.
  void on_signed(const PublicKey& key, const Vote& vote);
  // An honest node delivers a finalised block; `tip` is its last one before, `leader` that of its view.
  void on_delivered(const PublicKey& key, const BlockRef& tip, const Proposal& block,
                    const Certificate& certificate, const std::vector<Validator>& validators, Seat leader);
  void on_evidence(const Evidence& evidence);
  // An honest node was handed a vote that it had to notice; `life` is a number for each of its runs. Evidence
  // is due at the call of evidence_due() that follows.
  void on_heard(std::uint64_t life, const Vote& vote, const std::vector<Validator>& validators);
  void evidence_due();
  void end_life(std::uint64_t life) { heard_.erase(life); }
  // Of views up to this one a life needs to remember nothing more.
  void forget(std::uint64_t life, std::uint64_t epoch, View view);
  void violate(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }

  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] std::uint64_t blocks() const { return chain_.size(); }
  [[nodiscard]] std::size_t evidence() const { return evidence_.size(); }

 private:
  using Place = std::pair<std::uint64_t, View>;  // epoch, view
  using Culprit = std::tuple<std::uint64_t, View, PublicKey>;
  const SignatureScheme& scheme_;
  Digest chain_id_;
  std::uint64_t genesis_height_;
  std::set<PublicKey> honest_;
  std::map<PublicKey, std::map<Place, std::vector<Vote>>> signed_;
  std::vector<Digest> chain_;  // finalised blocks by height, seals left out
  std::set<Place> certified_;  // certificates that were verified
  std::set<Culprit> evidence_;
  std::map<std::uint64_t, std::map<std::tuple<std::uint64_t, View, Seat>, std::vector<Vote>>> heard_;
  std::optional<Culprit> due_;
  std::string violation_;
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
