// Votes of validators whose keys a test has: what makes a block final.
#pragma once

#include <map>

#include "accounting/chain/chain.h"

namespace ufab::test {

using ValidatorKeys = std::map<PublicKey, KeyPair>;

inline std::vector<consensus::Seat> all_seats(const consensus::ValidatorSet& set) {
  std::vector<consensus::Seat> seats;
  for (std::size_t i = 0; i < set.size(); ++i) seats.push_back(static_cast<consensus::Seat>(i));
  return seats;
}

// Signed by those seats with the keys of `keys`; a seat whose key is not there signs nothing that holds.
inline consensus::CertificatePtr certify(const consensus::Epoch& epoch, consensus::View view,
                                         consensus::VoteKind kind, const Digest& block,
                                         const std::vector<consensus::Seat>& seats,
                                         const ValidatorKeys& keys) {
  consensus::Certificate made{
      epoch.number, view, kind, block, static_cast<std::uint16_t>(epoch.validators.size()), seats, {}};
  const Bytes bytes = consensus::vote_signing_bytes(epoch.chain_id, epoch.number, view, kind, block);
  for (const consensus::Seat seat : seats) {
    const auto key = keys.find(epoch.validators[seat].key);
    made.signatures.push_back(key == keys.end() ? Signature() : key->second.sign(bytes));
  }
  return std::make_shared<const consensus::Certificate>(std::move(made));
}

inline SignedHeader propose(const consensus::Epoch& epoch, const consensus::Header& header,
                            const ValidatorKeys& keys) {
  const KeyPair& leader = keys.at(epoch.validators[epoch.leader(header.view)].key);
  return {header, leader.sign(consensus::vote_signing_bytes(epoch.chain_id, epoch.number, header.view,
                                                            consensus::VoteKind::propose,
                                                            consensus::header_digest(header)))};
}

// All validators vote for the block on `place`, with so many seals after it.
inline Finality vote_for(const Block& block, const consensus::Epoch& epoch, const consensus::BlockRef& place,
                         const ValidatorKeys& keys, std::size_t seals) {
  consensus::Header header{
      epoch.chain_id, epoch.number, block.header.view, block.header.height, place.view, place.digest, {},
      false};
  Block bare = block;
  bare.finality.reset();
  header.payload_hash = consensus::payload_hash(encode_payload(bare));
  Finality made;
  made.proposal = propose(epoch, header, keys);
  for (std::size_t i = 0; i < seals; ++i) {
    consensus::Header seal = made.last();
    seal.parent = consensus::header_digest(seal);
    seal.parent_view = seal.view;
    ++seal.view;
    seal.payload_hash = consensus::payload_hash(ByteView{});
    seal.seal = true;
    made.seals.push_back(propose(epoch, seal, keys));
  }
  const consensus::Header& last = made.last();
  made.certificate = certify(epoch, last.view, consensus::VoteKind::finalise, consensus::header_digest(last),
                             all_seats(epoch.validators), keys);
  return made;
}

}  // namespace ufab::test
