// What an auditor finds in a bundle in which headers, votes, certificates, the order of blocks, the log's
// bytes or the checkpoint were changed. Where it matters the forger has the key of the validator who made the
// block.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/accounting/support/forgery.h"

namespace ufab::test {
namespace {

using consensus::VoteKind;

// A block within an epoch, with a certificate and with blocks before and after it that have one.
std::size_t voted_block() {
  const Forgery forgery;
  for (std::size_t i = forgery.blocks.size() - 4; i > 0; --i) {
    const auto certified = [&](std::size_t at) {
      return forgery.blocks[at].finality && forgery.blocks[at].finality->certificate;
    };
    if (i % 20 > 4 && i % 20 < 16 && certified(i) && certified(i + 1) && certified(i - 2)) return i;
  }
  return 0;
}

struct Attack {
  const char* name;
  void (*apply)(Forgery&, std::size_t at);
  const char* why;  // after "block AT: "
};

consensus::Certificate& certificate_of(Block& block) {
  auto copy = std::make_shared<consensus::Certificate>(*block.finality->certificate);
  block.finality->certificate = copy;
  return *copy;
}

void certify_by(Forgery& f, std::size_t at, const std::vector<OrgId>& who,
                VoteKind kind = VoteKind::finalise) {
  const Chain chain = f.before(at);
  const auto& set = chain.epoch()->validators;
  std::vector<consensus::Seat> seats;
  for (std::size_t i = 0; i < chain.state().seats().size(); ++i) {
    if (std::find(who.begin(), who.end(), chain.state().seats()[i].organisation) != who.end())
      seats.push_back(*set.find(chain.state().seats()[i].key));
  }
  const consensus::Header& last = f.blocks[at].finality->last();
  f.blocks[at].finality->certificate =
      certify(*chain.epoch(), last.view, kind, consensus::header_digest(last), seats, f.keys());
}

const Attack header_attacks[] = {
    {"chain id", [](Forgery& f, std::size_t at) { f.blocks[at].header.chain_id = digest_of("x"); },
     "it belongs to another chain"},
    {"height", [](Forgery& f, std::size_t at) { ++f.blocks[at].header.height; }, "its header says block"},
    {"previous", [](Forgery& f, std::size_t at) { f.blocks[at].header.previous = digest_of("x"); },
     "it does not follow the block before it"},
    {"an earlier time", [](Forgery& f, std::size_t at) { f.blocks[at].header.time_us = 1; },
     "its time is before that of the block before it"},
    {"epoch", [](Forgery& f, std::size_t at) { ++f.blocks[at].header.epoch; }, "its epoch is wrong"},
    {"a view of nobody", [](Forgery& f, std::size_t at) { f.blocks[at].header.view = 0; },
     "its view is wrong"},
    {"an earlier view",
     [](Forgery& f, std::size_t at) { f.blocks[at].header.view = f.blocks[at - 1].header.view; },
     "its view is not after that of the block before it"},
    {"record root", [](Forgery& f, std::size_t at) { f.blocks[at].header.record_root = digest_of("x"); },
     "its record root is not that of its records"},
    {"state root", [](Forgery& f, std::size_t at) { f.blocks[at].header.state_root = digest_of("x"); },
     "its state root is not that of the state"},
    {"producer", [](Forgery& f, std::size_t at) { f.blocks[at].header.producer ^= 1; },
     "its producer is not the validator whose turn it is"},
    {"producer's key",
     [](Forgery& f, std::size_t at) { f.blocks[at].header.producer_key = key_of(210).public_key(); },
     "its producer is not the validator whose turn it is"},
};

TEST(ForgedBundle, EveryChangedHeaderFieldIsNamedThoughItsProducerSignsItAnew) {
  const std::size_t at = voted_block();
  ASSERT_GT(at, 0U);
  for (const Attack& attack : header_attacks) {
    Forgery forgery;
    attack.apply(forgery, at);
    forgery.resign(at);
    const std::string expected = "block " + std::to_string(at) + ": " + attack.why;
    EXPECT_TRUE(forgery.verdict().starts_with(expected)) << attack.name << ": " << forgery.verdict();
  }
  Forgery later;  // what only the votes can tell
  later.blocks[at].header.time_us += 1;
  later.resign(at);
  EXPECT_EQ(later.verdict(), "block " + std::to_string(at) + ": its certificate is for something else");
  Forgery count;
  ++count.blocks[at].header.record_count;
  EXPECT_TRUE(count.verdict().starts_with("block " + std::to_string(at) + ": ")) << count.verdict();
  Forgery unsigned_one;
  unsigned_one.blocks[at].header.signature.bytes[3] ^= 1;
  EXPECT_TRUE(unsigned_one.verdict().starts_with("block " + std::to_string(at) + ": its signature is wrong"));
}

const Attack vote_attacks[] = {
    {"no votes", [](Forgery& f, std::size_t at) { f.blocks[at].finality.reset(); },
     "it has no votes: it is not final"},
    {"a signature in the certificate",
     [](Forgery& f, std::size_t at) { certificate_of(f.blocks[at]).signatures[1].bytes[0] ^= 1; },
     "its certificate does not hold"},
    {"the bitmap: another signer",
     [](Forgery& f, std::size_t at) {
       auto& certificate = certificate_of(f.blocks[at]);
       certificate.signers = {0, 1, 3};
       certificate.signatures.erase(certificate.signatures.begin() + 3);
     },
     "its certificate does not hold"},
    {"the number of validators",
     [](Forgery& f, std::size_t at) { ++certificate_of(f.blocks[at]).validators; },
     "its certificate does not hold"},
    {"the certificate's epoch", [](Forgery& f, std::size_t at) { ++certificate_of(f.blocks[at]).epoch; },
     "its certificate is for something else"},
    {"the certificate's view", [](Forgery& f, std::size_t at) { ++certificate_of(f.blocks[at]).view; },
     "its certificate is for something else"},
    {"the certificate's block",
     [](Forgery& f, std::size_t at) { certificate_of(f.blocks[at]).block = digest_of("x"); },
     "its certificate is for something else"},
    {"another block's certificate",
     [](Forgery& f, std::size_t at) {
       f.blocks[at].finality->certificate = f.blocks[at + 1].finality->certificate;
     },
     "its certificate is for something else"},
    {"a certificate that notarises",
     [](Forgery& f, std::size_t at) {
       certify_by(f, at, {1, 2, 3, 4, 5}, VoteKind::notarise);
     },
     "its certificate is for something else"},
    {"nearly a quorum by weight",
     [](Forgery& f, std::size_t at) {
       certify_by(f, at, {delta, beta});
     },
     "its certificate does not hold"},
    {"a quorum by weight and none by pledge",
     [](Forgery& f, std::size_t at) {
       certify_by(f, at, {chain_org, beta, gamma});
     },
     "its certificate does not hold"},
    {"the leader's signature",
     [](Forgery& f, std::size_t at) { f.blocks[at].finality->proposal.leader.bytes[9] ^= 1; },
     "its proposal was not signed by the leader of its view"},
    {"another validator's proposal",
     [](Forgery& f, std::size_t at) {
       SignedHeader& proposal = f.blocks[at].finality->proposal;
       for (const auto& [key, pair] : f.keys()) {
         if (key == f.blocks[at].header.producer_key) continue;
         proposal.leader = pair.sign(consensus::vote_signing_bytes(
             proposal.header.chain_id, proposal.header.epoch, proposal.header.view, VoteKind::propose,
             consensus::header_digest(proposal.header)));
       }
     },
     "its proposal was not signed by the leader of its view"},
    {"the proposal's epoch",
     [](Forgery& f, std::size_t at) { ++f.blocks[at].finality->proposal.header.epoch; },
     "its proposal belongs to another epoch or chain"},
    {"the proposal's chain",
     [](Forgery& f, std::size_t at) { f.blocks[at].finality->proposal.header.chain_id = digest_of("x"); },
     "its proposal belongs to another epoch or chain"},
    {"the proposal's view", [](Forgery& f, std::size_t at) { ++f.blocks[at].finality->proposal.header.view; },
     "its view is not that of its proposal"},
    {"what the proposal builds on",
     [](Forgery& f, std::size_t at) {
       f.blocks[at].finality->proposal.header.parent = digest_of("x");
       f.repropose(at);
     },
     "its proposal does not follow the one before"},
    {"the payload's hash",
     [](Forgery& f, std::size_t at) { f.blocks[at].finality->proposal.header.payload_hash = digest_of("x"); },
     "its proposal carries another block"},
    {"a proposal that is a seal",
     [](Forgery& f, std::size_t at) { f.blocks[at].finality->proposal.header.seal = true; },
     "its proposal carries another block"},
};

TEST(ForgedBundle, EveryPartOfTheVotesIsNamed) {
  const std::size_t at = voted_block();
  for (const Attack& attack : vote_attacks) {
    Forgery forgery;
    attack.apply(forgery, at);
    const std::string expected = "block " + std::to_string(at) + ": " + attack.why;
    EXPECT_TRUE(forgery.verdict().starts_with(expected)) << attack.name << ": " << forgery.verdict();
  }
  Forgery enough;  // the same means, and nothing is wrong
  certify_by(enough, at, {delta, beta, gamma});
  EXPECT_EQ(enough.verdict(), "");
}

TEST(ForgedBundle, ASignerTwiceIsNoQuorum) {
  const std::size_t at = voted_block();
  Forgery forgery;
  auto& certificate = certificate_of(forgery.blocks[at]);
  certificate.signers = {certificate.signers[0], certificate.signers[0], certificate.signers[0]};
  certificate.signatures = {certificate.signatures[0], certificate.signatures[0], certificate.signatures[0]};
  EXPECT_TRUE(forgery.verdict().starts_with("block " + std::to_string(at) + ": ")) << forgery.verdict();
}

// The last block of an epoch: its seal, its certificate, and the list that it names.
TEST(ForgedBundle, TheEndOfAnEpochIsAsFirm) {
  const std::size_t at = voted_block() / 20 * 20;
  const std::string block = "block " + std::to_string(at) + ": ";
  const auto expect = [&](const char* name, const char* why, const auto& apply) {
    Forgery forgery;
    ASSERT_EQ(forgery.blocks[at].finality->seals.size(), 1U);
    apply(forgery);
    EXPECT_TRUE(forgery.verdict().starts_with(block + why)) << name << ": " << forgery.verdict();
  };
  expect("a forged seal", "its proposal was not signed by the leader of its view",
         [&](Forgery& f) { f.blocks[at].finality->seals[0].leader.bytes[1] ^= 1; });
  expect("a seal that is none", "a seal after it is none",
         [&](Forgery& f) { f.blocks[at].finality->seals[0].header.seal = false; });
  expect("a seal with something in it", "a seal after it is none",
         [&](Forgery& f) { f.blocks[at].finality->seals[0].header.payload_hash = digest_of("x"); });
  expect("a seal elsewhere", "its proposal does not follow the one before",
         [&](Forgery& f) { f.blocks[at].finality->seals[0].header.parent = digest_of("x"); });
  expect("the seal gone", "its certificate is for something else",
         [&](Forgery& f) { f.blocks[at].finality->seals.clear(); });
  expect("seals without a certificate", "the certificate of the last block of its epoch is missing",
         [&](Forgery& f) { f.blocks[at].finality->certificate = nullptr; });
  expect("no certificate: the next list would vouch for the block that names it",
         "the certificate of the last block of its epoch is missing", [&](Forgery& f) {
           f.blocks[at].finality->certificate = nullptr;
           f.blocks[at].finality->seals.clear();
         });
}

// Alpha left: its vote, and the list with it, count no more.
TEST(ForgedBundle, ACertificateByTheListBeforeIsNone) {
  const Forgery honest;
  std::size_t first = 0;  // block of the first epoch without alpha
  std::vector<Seat> old;
  for (std::size_t i = 20; i < honest.blocks.size() && first == 0; i += 20) {
    const Chain chain = honest.before(i + 1);
    const bool alpha_sits = chain.state().in_office(alpha) && chain.state().by_vote();
    if (alpha_sits) old = chain.state().seats();
    if (!old.empty() && !alpha_sits) first = i + 1;
  }
  ASSERT_GT(first, 0U);
  while (honest.blocks[first].finality->certificate == nullptr) ++first;
  Forgery forgery;
  const Chain chain = forgery.before(first);
  auto set = validators_of(old);
  ASSERT_TRUE(set.ok());
  consensus::Epoch stale = *chain.epoch();
  stale.validators = *std::move(set);
  const consensus::Header& last = forgery.blocks[first].finality->last();
  forgery.blocks[first].finality->certificate =
      certify(stale, last.view, VoteKind::finalise, consensus::header_digest(last),
              all_seats(stale.validators), forgery.keys());
  EXPECT_TRUE(
      forgery.verdict().starts_with("block " + std::to_string(first) + ": its certificate does not hold"))
      << forgery.verdict();
}

TEST(ForgedBundle, BlocksSwappedRemovedRepeatedOrFromElsewhereAreNamed) {
  const std::size_t at = voted_block();
  const std::string here = "block " + std::to_string(at) + ": ";
  Forgery swapped;
  std::swap(swapped.blocks[at], swapped.blocks[at + 1]);
  EXPECT_EQ(swapped.verdict(), here + "its header says block " + std::to_string(at + 1));
  Forgery removed;
  removed.blocks.erase(removed.blocks.begin() + static_cast<std::ptrdiff_t>(at));
  EXPECT_EQ(removed.verdict(), here + "its header says block " + std::to_string(at + 1));
  Forgery twice;
  twice.blocks.insert(twice.blocks.begin() + static_cast<std::ptrdiff_t>(at), twice.blocks[at]);
  EXPECT_EQ(twice.verdict(),
            "block " + std::to_string(at + 1) + ": its header says block " + std::to_string(at));
  Forgery solo;
  solo.blocks[5].finality = solo.blocks[at].finality;
  EXPECT_EQ(solo.verdict(), "block 5: it has votes where nobody votes");
  World other(history_params());
  other.empty_blocks(3);
  Forgery foreign;
  foreign.blocks[2] = *decode_block(other.blocks()[2]);
  EXPECT_TRUE(foreign.verdict().starts_with("block 2: ")) << foreign.verdict();
}

TEST(ForgedBundle, ATruncatedTailIsMeasuredByTheCheckpoint) {
  Forgery forgery;
  const std::size_t head = forgery.blocks.size() - 1;
  do forgery.blocks.pop_back();
  while (!forgery.blocks.back().finality->certificate);
  const std::size_t end = forgery.blocks.size() - 1;
  EXPECT_EQ(forgery.verdict(), "block " + std::to_string(end + 1) +
                                   " record 0 (missing): the log ends at block " + std::to_string(end) +
                                   ", but the checkpoint's head is block " + std::to_string(head));
  forgery.blocks.back().finality->certificate = nullptr;
  EXPECT_TRUE(forgery.verdict().ends_with(": the certificate that makes it final is missing"))
      << forgery.verdict();
}

TEST(ForgedBundle, DamageToTheLogsFramesIsNamed) {
  Forgery forgery;
  std::vector<Bytes> encodings;
  for (const Block& block : forgery.blocks) encodings.push_back(encode_block(block));
  const std::size_t first_frame = 52 + 40 + encodings[0].size();
  // Of frame 1: its size, its chain value, its checksum; and the segment's head.
  for (const auto& [offset, expected] : {std::pair<std::size_t, std::string>{first_frame, "block 1 record 0"},
                                         {first_frame + 10, "block 1 record 0"},
                                         {first_frame + 38, "block 1 record 0"},
                                         {20, "block 0 record 0"},
                                         {first_frame + 40 + 4 + 60, "block 1: "}}) {
    const Folder folder(memory_folder());
    forgery.write(folder.path("b"), encodings);
    std::fstream file(folder.path("b/log/0000000000000000.seg"),
                      std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(offset));
    const auto byte = static_cast<char>(file.get() ^ 4);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(byte);
    file.close();
    EXPECT_TRUE(forgery.verdict_of(folder.path("b")).starts_with(expected))
        << forgery.verdict_of(folder.path("b"));
  }
}

TEST(ForgedBundle, AForgedCheckpointIsNamedByItsPart) {
  const Forgery honest;
  ASSERT_GE(honest.checkpoint.links.size(), 2U);
  const auto expect = [](const char* name, const std::string& why, const auto& apply) {
    Forgery forgery;
    apply(forgery.checkpoint);
    EXPECT_TRUE(forgery.verdict().starts_with("checkpoint: " + why)) << name << ": " << forgery.verdict();
  };
  const auto link = [&](std::size_t i) {
    return "link " + std::to_string(i) + " (block " +
           std::to_string(honest.checkpoint.links[i].block.block().height) + "): ";
  };
  const std::string head = "head (block " + std::to_string(honest.blocks.size() - 1) + "): ";
  const auto seat = [](ChainCheckpoint& c, const auto& change, bool with_root) {
    Record record = *decode_record(c.links[0].record);
    change(std::get<Epoch>(record.body).seats[0]);
    c.links[0].record = encode_record(record);
    if (!with_root) return;
    BlockHeader& header = c.links[0].block.headers[0];
    header.record_count = 1;
    header.record_root = merkle::leaf_hash(c.links[0].record);
    c.links[0].position = 0;
    c.links[0].path.clear();
  };
  const auto key = [](Seat& s) { s.key = key_of(220).public_key(); };
  expect("a seat's key", link(0) + "it does not hold the record",
         [&](ChainCheckpoint& c) { seat(c, key, false); });
  expect("a seat's weight", link(0) + "it does not hold the record", [&](ChainCheckpoint& c) {
    seat(
        c, [](Seat& s) { ++s.weight_ppm; }, false);
  });
  expect("a seat's key, under a new root", link(0) + "its signature is wrong",
         [&](ChainCheckpoint& c) { seat(c, key, true); });
  expect("a link less", head + "the validators of epoch ", [](ChainCheckpoint& c) { c.links.pop_back(); });
  expect("a link at the wrong place", "link 0 ",
         [](ChainCheckpoint& c) { std::swap(c.links[0], c.links[1]); });
  expect("a later link's certificate", link(1),
         [](ChainCheckpoint& c) { c.links[1].block.finality = c.head.finality; });
  expect("the head's state root", head,
         [](ChainCheckpoint& c) { c.head.headers[0].state_root = digest_of("x"); });
  expect("the head's certificate", head + "its certificate does not hold", [](ChainCheckpoint& c) {
    auto copy = std::make_shared<consensus::Certificate>(*c.head.finality->certificate);
    copy->signatures[0].bytes[5] ^= 1;
    c.head.finality->certificate = copy;
  });
  expect("the hash of the payload's rest", head + "its proposal carries another block",
         [](ChainCheckpoint& c) { c.head.rest_hash = digest_of("x"); });
}

// It holds by itself, but it is of a shorter chain; or of a chain that a quorum made twice.
TEST(ForgedBundle, ACheckpointOfAnotherHeadIsNoticed) {
  const Honest& honest = Honest::get();
  std::vector<Bytes> blocks = honest.world.blocks();
  do blocks.pop_back();
  while (!decode_block(blocks.back())->finality->certificate);
  const Folder folder(memory_folder());
  write_log(folder.path("l"), blocks);
  Forgery forgery;
  forgery.checkpoint = *decode_checkpoint(*audit_checkpoint(folder.path("l")));
  EXPECT_EQ(forgery.verdict(), "checkpoint: its head is block " + std::to_string(blocks.size() - 1) +
                                   ", the log ends at block " + std::to_string(forgery.blocks.size() - 1));
  Forgery twin;
  const std::size_t at = twin.blocks.size() - 1;
  const Chain chain = twin.before(at);
  Block& head = twin.blocks[at];
  ++head.header.time_us;
  head.header.signature = twin.producer_of(head).sign(header_signing_digest(head.header).view());
  head.finality = vote_for(head, *chain.epoch(), chain.place(), twin.keys(), 0);
  twin.checkpoint.head = {
      {head.header}, head.finality, sha256(consensus::payload_parts(encode_payload(head)).rest)};
  twin.blocks[at] = *decode_block(honest.world.blocks()[at]);
  EXPECT_EQ(twin.verdict(), "checkpoint: head: its block " + std::to_string(at) + " is not the log's");
}

TEST(AuditPlace, IsWhatTheLineBeginsWithAndNotWhatItQuotes) {
  const auto place_of = [](const std::string& line) {
    const AuditPlace place = audit_place({ErrorCode::corrupt, line});
    return (place.block ? std::to_string(*place.block) : "none") + "/" +
           (place.record ? std::to_string(*place.record) : "none");
  };
  EXPECT_EQ(place_of("block 7 record 2 (transfer): the signature is wrong"), "7/2");
  EXPECT_EQ(place_of("block 7: its header says block 8 record 1"), "7/none");
  EXPECT_EQ(place_of("checkpoint: link 3 (block 40): its record is of another epoch"), "40/none");
  EXPECT_EQ(place_of("checkpoint: trail: its block 39 is not the log's"), "39/none");
  EXPECT_EQ(place_of("checkpoint: its head is block 60, the log ends at block 61"), "60/none");
  EXPECT_EQ(place_of("checkpoint: its validators are not those in office"), "none/none");
  EXPECT_EQ(place_of("/tmp/block 7 record 1/checkpoint: it does not exist"), "none/none");
  EXPECT_EQ(place_of("block seven"), "none/none");
  EXPECT_EQ(place_of("block 99999999999999999999999: no number"), "none/none");
  EXPECT_EQ(place_of(""), "none/none");
}

}  // namespace
}  // namespace ufab::test
