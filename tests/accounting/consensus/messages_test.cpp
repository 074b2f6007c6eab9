// Encodings are canonical, quorums exact, and the vote log says truly what it has lost.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>

#include "tests/accounting/consensus/harness.h"
#include "tests/accounting/support/golden.h"

namespace ufab::consensus {
namespace {

std::vector<Message> samples(const Epoch& epoch) {
  const auto block = make_block(epoch, 1, epoch.anchor, "payload");
  return {make_vote(epoch, 2, VoteKind::notarise, 7, block->digest),
          make_vote(epoch, 0, VoteKind::skip, 7),
          make_certificate(epoch, {0, 1, 3}, VoteKind::finalise, 9, block->digest),
          make_certificate(epoch, {1}, VoteKind::skip, 9),
          block,
          BlockRequest{3, 5, block->digest}};
}

bool same(const Message& a, const Message& b) {
  if (a.index() != b.index()) return false;
  if (const auto* certificate = std::get_if<CertificatePtr>(&a))
    return **certificate == *std::get<CertificatePtr>(b);
  if (const auto* proposal = std::get_if<ProposalPtr>(&a)) return **proposal == *std::get<ProposalPtr>(b);
  return a == b;
}

TEST(Messages, SurviveEncodingAndLoseNoByte) {
  const auto epoch = make_epoch({1, 1, 1, 1});
  for (const Message& message : samples(*epoch)) {
    const Bytes bytes = encode_message(message);
    const auto decoded = decode_message(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    EXPECT_TRUE(same(*decoded, message));
    for (std::size_t size = 0; size < bytes.size(); ++size)
      EXPECT_FALSE(decode_message(ByteView(bytes).first(size)).ok());
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(decode_message(longer).ok());
  }
}

TEST(Messages, HaveOneEncodingOnly) {
  const auto epoch = make_epoch({1, 1, 1, 1});
  rc::check("changed bytes are refused, or are the encoding of what they decode to", [&] {
    const auto messages = samples(*epoch);
    Bytes bytes = encode_message(messages[*rc::gen::inRange<std::size_t>(0, messages.size())]);
    const int changes = *rc::gen::inRange(1, 4);
    for (int i = 0; i < changes; ++i)
      bytes[*rc::gen::inRange<std::size_t>(0, bytes.size())] = *rc::gen::arbitrary<std::uint8_t>();
    const auto decoded = decode_message(bytes);
    if (decoded.ok()) RC_ASSERT(encode_message(*decoded) == bytes);
  });
}

TEST(Messages, ACertificatesUnusedBitsAndEmptyBitmapAreRefused) {
  const auto epoch = make_epoch({1, 1, 1, 1});
  Bytes bytes = encode_message(make_certificate(*epoch, {0, 1, 3}, VoteKind::skip, 9));
  const std::size_t bitmap = 1 + 8 + 8 + 1 + 32 + 2;
  ASSERT_EQ(bytes[bitmap], 0b1011);
  bytes[bitmap] = 0b10001011;
  bytes.insert(bytes.end(), 64, 0);
  EXPECT_FALSE(decode_message(bytes).ok());
  bytes.resize(bitmap + 1);
  bytes[bitmap] = 0;
  EXPECT_FALSE(decode_message(bytes).ok());
}

TEST(Certificates, AreRefusedWhenOneThingIsWrong) {
  const auto epoch = make_epoch({1, 1, 1, 1});
  const auto good = make_certificate(*epoch, {0, 1, 3}, VoteKind::finalise, 9, sha256("b"));
  const auto accepted = [&](const Certificate& c) {
    return verify_certificate(epoch->chain_id, epoch->validators, c, cheap_scheme());
  };
  EXPECT_TRUE(accepted(*good));
  const auto broken = [&](auto&& change) {
    Certificate copy = *good;
    change(copy);
    return !accepted(copy);
  };
  EXPECT_TRUE(broken([](Certificate& c) { c.view = 10; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.epoch = 4; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.kind = VoteKind::notarise; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.block = sha256("c"); }));
  EXPECT_TRUE(broken([](Certificate& c) { c.validators = 5; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.signers[1] = 0; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.signers[2] = 2; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.signatures[2].bytes[0] ^= 1; }));
  EXPECT_TRUE(broken([](Certificate& c) { c.signers.pop_back(), c.signatures.pop_back(); }));
  EXPECT_FALSE(verify_certificate(sha256("other chain"), epoch->validators, *good, cheap_scheme()));
}

TEST(Certificates, VerifyWithEd25519) {
  const auto key = KeyPair::from_seed({1, 2, 3});
  const Ed25519Signer real(key.copy());
  auto set = ValidatorSet::make({{key.public_key(), 1, 1}});
  ASSERT_TRUE(set.ok());
  Vote vote{1, 2, VoteKind::skip, {}, 0, {}};
  vote.signature = real.sign(vote_signing_bytes(sha256("c"), 1, 2, VoteKind::skip, {}));
  EXPECT_TRUE(verify_vote(sha256("c"), *set, vote, Ed25519Scheme()));
  vote.view = 3;
  EXPECT_FALSE(verify_vote(sha256("c"), *set, vote, Ed25519Scheme()));
}

TEST(Evidence, IsRefusedWhenItProvesNothing) {
  const auto epoch = make_epoch({1, 1, 1, 1});
  const auto part = [&](VoteKind kind, const Digest& block) {
    return Evidence::Part{kind, block, make_vote(*epoch, 1, kind, 5, block).signature};
  };
  Evidence evidence{epoch->chain_id,
                    epoch->number,
                    5,
                    signer(1).public_key(),
                    part(VoteKind::skip, {}),
                    part(VoteKind::finalise, sha256("b"))};
  EXPECT_TRUE(verify_evidence(evidence, cheap_scheme()).ok());
  Evidence other = evidence;
  other.key = signer(2).public_key();
  EXPECT_FALSE(verify_evidence(other, cheap_scheme()).ok());
  other = evidence;
  other.view = 6;
  EXPECT_FALSE(verify_evidence(other, cheap_scheme()).ok());
  other = evidence;
  other.first = part(VoteKind::notarise, sha256("b"));
  EXPECT_FALSE(verify_evidence(other, cheap_scheme()).ok());
  Bytes bytes = encode_evidence(evidence);
  EXPECT_TRUE(decode_evidence(bytes).ok());
  std::rotate(bytes.begin() + 80, bytes.begin() + 80 + 97, bytes.end());
  EXPECT_FALSE(decode_evidence(bytes).ok()) << "the two votes the other way round";
}

TEST(Validators, AreRefusedWhenTheirListMeansNothing) {
  EXPECT_FALSE(ValidatorSet::make({}).ok());
  EXPECT_FALSE(ValidatorSet::make({{signer(0).public_key(), 0, 1}}).ok());
  EXPECT_FALSE(ValidatorSet::make({{signer(0).public_key(), 1, 0}}).ok());
  EXPECT_FALSE(ValidatorSet::make({{signer(0).public_key(), 1, 1}, {signer(0).public_key(), 1, 1}}).ok());
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  EXPECT_FALSE(ValidatorSet::make({{signer(0).public_key(), most, 1}, {signer(1).public_key(), 1, 1}}).ok());
  EXPECT_TRUE(ValidatorSet::make({{signer(0).public_key(), most, most}}).ok());
}

TEST(Validators, AQuorumIsMoreThanTwoThirdsOfBothExactly) {
  rc::check("against the definition, at totals up to 64 bits", [] {
    // Weights up to 2^61 in five parts keep the totals within 64 bits; the definition is in parts of a sixth.
    const auto weights =
        *rc::gen::container<std::vector<std::uint64_t>>(5, rc::gen::inRange<std::uint64_t>(0, 1ULL << 61));
    const std::uint64_t unit = *rc::gen::inRange<std::uint64_t>(1, 1ULL << 60);
    std::vector<Validator> validators;
    for (std::uint64_t i = 0; i < 3; ++i)
      validators.push_back({signer(i).public_key(), unit, weights[i] + 1});
    const auto set = ValidatorSet::make(validators);
    RC_ASSERT(set.ok());
    Tally two(*set), all(*set);
    two.add(0);
    two.add(1);
    RC_ASSERT(!two.is_quorum());  // exactly two thirds of the weight
    for (const Seat seat : Seats{0, 1, 2}) all.add(seat);
    RC_ASSERT(all.is_quorum());
    validators[2].weight = unit - 1;
    const auto lighter = ValidatorSet::make(validators);
    RC_ASSERT(lighter.ok());
    Tally just(*lighter);
    just.add(0);
    just.add(1);
    __extension__ using Wide = unsigned __int128;
    const Wide part = static_cast<Wide>(weights[0]) + weights[1] + 2;
    RC_ASSERT(just.is_quorum() == (part * 3 > (part + weights[2] + 1) * 2));
  });
}

TEST(Validators, LeadersAreDrawnInProportionToWeight) {
  const auto set = ValidatorSet::make({{signer(0).public_key(), 1, 1}, {signer(1).public_key(), 3, 1}});
  ASSERT_TRUE(set.ok());
  const LeaderSchedule leader = weighted_leaders(sha256("seed"), *set);
  int heavy = 0;
  for (View view = 1; view <= 4000; ++view) heavy += leader(view) == 1;
  EXPECT_NEAR(heavy, 3000, 120);
  EXPECT_EQ(leader(17), weighted_leaders(sha256("seed"), *set)(17));
}

// The bytes on the wire and on disk, as they were when the format was fixed.
TEST(Messages, HaveTheGoldenBytes) {
  const auto epoch = make_epoch({1, 1, 1, 1});
  const auto block = make_block(*epoch, 1, epoch->anchor, "payload");
  const auto part = [&](VoteKind kind, const Digest& digest) {
    return Evidence::Part{kind, digest, make_vote(*epoch, 1, kind, 5, digest).signature};
  };
  const VoteRecord record{make_vote(*epoch, 0, VoteKind::finalise, 1, block->digest), nullptr,
                          make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 1, block->digest)};
  const std::vector<std::pair<std::string, Bytes>> cases = {
      {"vote", encode_message(make_vote(*epoch, 2, VoteKind::notarise, 7, block->digest))},
      {"certificate", encode_message(make_certificate(*epoch, {0, 1, 3}, VoteKind::skip, 9))},
      {"proposal", encode_message(block)},
      {"request", encode_message(BlockRequest{3, 5, block->digest})},
      {"evidence", encode_evidence({epoch->chain_id, epoch->number, 5, signer(1).public_key(),
                                    part(VoteKind::skip, {}), part(VoteKind::finalise, block->digest)})},
      {"vote_record", encode_vote_record(record)},
      {"vote_log", VoteLogWriter().append(record)}};
  for (const auto& [name, bytes] : cases)
    test::expect_golden(std::string(UFAB_GOLDEN) + "/consensus/" + name + ".hex", bytes);
}

class VoteLogFile : public ::testing::Test {
 protected:
  VoteLogFile() {
    const auto block = make_block(*epoch, 1, epoch->anchor, "payload");
    records = {{make_vote(*epoch, 0, VoteKind::propose, 1, block->digest), block, nullptr},
               {make_vote(*epoch, 0, VoteKind::notarise, 1, block->digest), nullptr, nullptr},
               {make_vote(*epoch, 0, VoteKind::finalise, 1, block->digest), nullptr,
                make_certificate(*epoch, {0, 1, 2}, VoteKind::notarise, 1, block->digest)},
               {make_vote(*epoch, 0, VoteKind::skip, 2), nullptr, nullptr}};
    VoteLogWriter writer;
    for (const VoteRecord& record : records) {
      const Bytes bytes = writer.append(record);
      file.insert(file.end(), bytes.begin(), bytes.end());
      ends.push_back(file.size());
    }
  }
  std::shared_ptr<Epoch> epoch = make_epoch({1, 1, 1, 1});
  std::vector<VoteRecord> records;
  Bytes file;
  std::vector<std::size_t> ends;
};

TEST_F(VoteLogFile, GivesBackWhatWasWrittenAndGoesOnFromThere) {
  auto log = read_vote_log(file);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->records, records);
  VoteLogWriter writer(log->check);
  const Bytes more = writer.append({make_vote(*epoch, 0, VoteKind::skip, 3), nullptr, nullptr});
  file.insert(file.end(), more.begin(), more.end());
  log = read_vote_log(file);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->records.size(), 5u);
}

TEST_F(VoteLogFile, ATornEndLosesOnlyTheRecordThatWasNeverSynced) {
  for (std::size_t size = 0; size <= file.size(); ++size) {
    const auto log = read_vote_log(ByteView(file).first(size));
    ASSERT_TRUE(log.ok()) << size;
    const auto whole = static_cast<std::size_t>(
        std::count_if(ends.begin(), ends.end(), [&](std::size_t end) { return end <= size; }));
    EXPECT_EQ(log->records.size(), whole);
    EXPECT_EQ(log->size, whole > 0 ? ends[whole - 1] : size < 8 ? 0u : 8u);
  }
}

TEST_F(VoteLogFile, AnyFlippedBitIsSeen) {
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    file[bit / 8] = static_cast<std::uint8_t>(file[bit / 8] ^ 1U << (bit % 8));
    const auto log = read_vote_log(file);
    EXPECT_FALSE(log.ok()) << "bit " << bit;
    file[bit / 8] = static_cast<std::uint8_t>(file[bit / 8] ^ 1U << (bit % 8));
  }
}

}  // namespace
}  // namespace ufab::consensus
