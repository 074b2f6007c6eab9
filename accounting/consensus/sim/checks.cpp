#include "accounting/consensus/sim/checks.h"

#include <algorithm>

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

namespace {

// The rule once more, written apart from votes_conflict().
bool conflict(const Vote& a, const Vote& b) {
  if (a.kind == b.kind) return !(a.block == b.block);
  const bool skips = a.kind == VoteKind::skip || b.kind == VoteKind::skip;
  const bool finalises = a.kind == VoteKind::finalise || b.kind == VoteKind::finalise;
  return skips && finalises;
}

std::string place(std::uint64_t epoch, View view) {
  return "epoch " + std::to_string(epoch) + " view " + std::to_string(view);
}

}  // namespace

bool truly_signed(const Digest& chain_id, const std::vector<Validator>& validators, const Vote& vote,
                  const SignatureScheme& scheme) {
  return vote.seat < validators.size() &&
         scheme.verify(validators[vote.seat].key,
                       vote_signing_bytes(chain_id, vote.epoch, vote.view, vote.kind, vote.block),
                       vote.signature);
}

bool truly_certified(const Digest& chain_id, const std::vector<Validator>& validators,
                     const Certificate& certificate, const SignatureScheme& scheme) {
  // Simulated totals are far below 2^62.
  std::uint64_t weight = 0, stake = 0, weight_all = 0, stake_all = 0;
  for (const Validator& validator : validators) {
    weight_all += validator.weight;
    stake_all += validator.stake;
  }
  std::set<Seat> counted;
  if (certificate.signers.size() != certificate.signatures.size()) return false;
  for (std::size_t i = 0; i < certificate.signers.size(); ++i) {
    const Vote vote{certificate.epoch, certificate.view,       certificate.kind,
                    certificate.block, certificate.signers[i], certificate.signatures[i]};
    if (!truly_signed(chain_id, validators, vote, scheme) || !counted.insert(vote.seat).second) return false;
    weight += validators[vote.seat].weight;
    stake += validators[vote.seat].stake;
  }
  return weight * 3 > weight_all * 2 && stake * 3 > stake_all * 2;
}

void Checks::on_signed(const PublicKey& key, const Vote& vote) {
  std::vector<Vote>& earlier = signed_[key][{vote.epoch, vote.view}];
  for (const Vote& other : earlier) {
    if (conflict(other, vote)) {
      violate("honest " + key.hex().substr(0, 8) + " signed " + vote_kind_name(other.kind) + " and " +
              vote_kind_name(vote.kind) + " that conflict in " + place(vote.epoch, vote.view));
    }
    if (other.kind == vote.kind && other.block == vote.block) return;
  }
  earlier.push_back(vote);
}

void Checks::on_delivered(const PublicKey& key, const BlockRef& tip, const Proposal& block,
                          const Certificate& certificate, const std::vector<Validator>& validators,
                          Seat leader) {
  const Header& header = block.header;
  const std::string where = " at height " + std::to_string(header.height) + " by " + key.hex().substr(0, 8);
  if (header.parent != tip.digest || header.height != tip.height + (header.seal ? 0 : 1))
    violate("a block was delivered that does not follow the one before" + where);
  if (certified_.insert({certificate.epoch, certificate.view}).second &&
      !truly_certified(chain_id_, validators, certificate, scheme_))
    violate("a block was finalised by less than a quorum, in " + place(certificate.epoch, certificate.view) +
            where);
  if (certificate.kind != VoteKind::finalise || certificate.epoch != header.epoch ||
      certificate.view < header.view)
    violate("a block came with a certificate that does not cover it" + where);
  const Vote proposed{header.epoch, header.view, VoteKind::propose, block.digest, leader, block.signature};
  if (!truly_signed(chain_id_, validators, proposed, scheme_))
    violate("a block was delivered that its leader has not signed" + where);
  if (header.seal) return;
  UFAB_ASSERT(header.height > genesis_height_);
  const std::uint64_t place_in_chain = header.height - genesis_height_ - 1;
  if (place_in_chain < chain_.size()) {
    if (chain_[place_in_chain] != block.digest) violate("two finalised blocks" + where);
  } else if (place_in_chain == chain_.size()) {
    chain_.push_back(block.digest);
  } else {
    violate("finalised blocks with a gap" + where);
  }
}

void Checks::on_evidence(const Evidence& evidence) {
  evidence_.insert({evidence.epoch, evidence.view, evidence.key});
  if (honest_.contains(evidence.key))
    violate("evidence against an honest key in " + place(evidence.epoch, evidence.view));
  const Vote first{evidence.epoch, evidence.view, evidence.first.kind, evidence.first.block, 0, {}};
  const Vote second{evidence.epoch, evidence.view, evidence.second.kind, evidence.second.block, 0, {}};
  if (!conflict(first, second)) violate("evidence of nothing in " + place(evidence.epoch, evidence.view));
  const auto decoded = decode_evidence(encode_evidence(evidence));
  if (!decoded.ok() || !(*decoded == evidence) || !verify_evidence(*decoded, scheme_).ok())
    violate("evidence that does not stand alone in " + place(evidence.epoch, evidence.view));
}

void Checks::on_heard(std::uint64_t life, const Vote& vote, const std::vector<Validator>& validators) {
  if (!truly_signed(chain_id_, validators, vote, scheme_)) return;
  std::vector<Vote>& earlier = heard_[life][{vote.epoch, vote.view, vote.seat}];
  for (const Vote& other : earlier) {
    if (conflict(other, vote)) due_ = {vote.epoch, vote.view, validators[vote.seat].key};
    if (other.kind == vote.kind && other.block == vote.block) return;
  }
  earlier.push_back(vote);
}

void Checks::evidence_due() {
  if (due_ && !evidence_.contains(*due_)) {
    violate("an equivocation was seen and not reported, in " + place(std::get<0>(*due_), std::get<1>(*due_)));
  }
  due_.reset();
}

void Checks::forget(std::uint64_t life, std::uint64_t epoch, View view) {
  const auto heard = heard_.find(life);
  if (heard == heard_.end()) return;
  heard->second.erase(heard->second.begin(),
                      heard->second.upper_bound({epoch, view, static_cast<Seat>(validators_max)}));
}

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
