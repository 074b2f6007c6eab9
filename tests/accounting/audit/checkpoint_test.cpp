// Checkpoints, proofs out of a chain that several validators make, and witnesses.
#include <gtest/gtest.h>

#include "accounting/audit/collect.h"
#include "accounting/audit/light.h"
#include "accounting/audit/proof.h"
#include "accounting/audit/witness.h"
#include "tests/accounting/support/forgery.h"
#include "tests/accounting/support/golden.h"

namespace ufab::test {
namespace {

TEST(Checkpoint, TellsTheHeadAndTheValidatorsFromTheChainIdAlone) {
  const Honest& honest = Honest::get();
  const auto facts = audit_check(honest.checkpoint, {honest.world.state().chain_id(), {}, 0});
  ASSERT_TRUE(facts.ok()) << facts.error().message;
  EXPECT_FALSE(facts->proven);
  EXPECT_EQ(facts->checkpoint.head_height, honest.world.chain().head().height);
  EXPECT_EQ(facts->checkpoint.head_hash, honest.world.chain().head_hash());
  EXPECT_EQ(facts->checkpoint.state_root, honest.world.chain().head().state_root);
  EXPECT_EQ(facts->checkpoint.validators, honest.world.state().seats());
  EXPECT_LT(facts->checkpoint.links, honest.world.state().epoch() - 2) << "epochs of one list need no link";
  EXPECT_FALSE(audit_check(honest.checkpoint, {digest_of("another chain"), {}, 0}).ok());
}

// At each length at which the log could end.
TEST(Checkpoint, IsThereForEveryHead) {
  const Honest& honest = Honest::get();
  Chain chain;
  audit::Collector collector(chain);
  std::size_t openings = 0;
  for (const Bytes& bytes : honest.world.blocks()) {
    auto applied = chain.import(*decode_block(bytes), Signatures::checked);
    ASSERT_TRUE(applied.ok());
    ASSERT_TRUE(collector.visit(*applied).ok());
    if (wants_certificate(applied->block)) continue;
    audit::Collector copy = collector;
    const auto checkpoint = copy.finish();
    ASSERT_TRUE(checkpoint.ok());
    const auto decoded = decode_checkpoint(encode_checkpoint(*checkpoint));
    ASSERT_TRUE(decoded.ok()) << decoded.error().message;
    const auto light = LightChain::follow(*decoded);
    ASSERT_TRUE(light.ok()) << "head " << chain.head().height << ": " << light.error().message;
    EXPECT_EQ(light->head(), chain.head());
    EXPECT_EQ(light->validators(), chain.state().seats());
    EXPECT_EQ(encode_checkpoint(*decoded), encode_checkpoint(*checkpoint));
    if (decoded->links.size() < 2 || decoded->links.back().block.block().height != chain.head().height)
      continue;
    // The head opens an epoch: without the last link its validators would be those of the one before.
    ChainCheckpoint less = *decoded;
    less.links.pop_back();
    EXPECT_FALSE(LightChain::follow(less).ok()) << "head " << chain.head().height;
    ++openings;
  }
  EXPECT_GT(openings, 3U);
}

TEST(Checkpoint, EveryChangedByteIsRefused) {
  const Honest& honest = Honest::get();
  const Digest chain_id = honest.world.state().chain_id();
  const Bytes& file = honest.checkpoint;
  for (std::size_t i = 0; i<file.size(); i += file.size()> 4000 ? 7U : 1U) {
    Bytes damaged = file;
    damaged[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    EXPECT_FALSE(audit_check(damaged, {chain_id, {}, 0}).ok()) << "byte " << i;
    EXPECT_FALSE(audit_check(ByteView(file).first(i), {chain_id, {}, 0}).ok()) << "cut at " << i;
  }
}

// Strangers make a list of their own and vote for it in a later epoch: nobody of the last list signed.
TEST(Checkpoint, AListThatVouchesOnlyForItselfIsRefused) {
  Forgery forgery;
  ChainCheckpoint& checkpoint = forgery.checkpoint;
  ASSERT_GE(checkpoint.links.size(), 2U);
  std::size_t number = 1;
  while (number < checkpoint.links.size() && checkpoint.links[number].block.headers.size() == 1) ++number;
  ASSERT_LT(number, checkpoint.links.size());
  PlacedRecord& link = checkpoint.links[number];
  ValidatorKeys keys;
  Record record = *decode_record(link.record);
  auto& seats = std::get<Epoch>(record.body).seats;
  for (std::size_t i = 0; i < seats.size(); ++i) {
    KeyPair key = key_of(static_cast<std::uint8_t>(230 + i));
    seats[i].key = key.public_key();
    keys.emplace(key.public_key(), std::move(key));
  }
  link.record = encode_record(record);
  link.position = 0;
  link.path.clear();
  BlockHeader& opening = link.block.headers[0];
  opening.record_count = 1;
  opening.record_root = merkle::leaf_hash(link.record);
  const Epoch& body = std::get<Epoch>(record.body);
  const auto set = validators_of(seats);
  const consensus::Epoch epoch{
      opening.chain_id,   body.epoch, *set, consensus::weighted_leaders(body.seed, *set), {},
      opening.height + 20};
  link.block.headers.resize(2);
  BlockHeader& next = link.block.headers[1];
  next = opening;
  next.height = opening.height + 1;
  next.previous = block_hash(opening);
  next.view = 1;
  const KeyPair& leader = keys.at(epoch.validators[epoch.leader(1)].key);
  next.producer_key = leader.public_key();
  next.signature = leader.sign(header_signing_digest(next).view());
  const Block block{next, {link.record}, std::nullopt};
  link.block.finality = vote_for(block, epoch, {0, opening.height, digest_of("x")}, keys, 0);
  link.block.rest_hash = sha256(consensus::payload_parts(encode_payload(block)).rest);
  const auto light = LightChain::follow(checkpoint);
  ASSERT_FALSE(light.ok());
  EXPECT_NE(light.error().message.find("too few of the last proven validators signed in its epoch"),
            std::string::npos)
      << light.error().message;
}

TEST(Proof, OfARecordInAnyBlockChecksWithoutTheLog) {
  const Honest& honest = Honest::get();
  const Folder folder(memory_folder());
  write_log(folder.path("l"), honest.world.blocks());
  const CheckOptions options{honest.world.state().chain_id(), {}, 0};
  const auto& blocks = honest.world.blocks();
  for (std::size_t height = 0; height < blocks.size(); height += height % 9 == 0 ? 1 : 8) {
    const auto block = decode_block(blocks[height]);
    if (block->records.empty()) continue;
    const auto proof = audit_prove(folder.path("l"), std::to_string(height) + "/0");
    ASSERT_TRUE(proof.ok()) << proof.error().message;
    const auto facts = audit_check(*proof, options);
    ASSERT_TRUE(facts.ok()) << "block " << height << ": " << facts.error().message;
    ASSERT_TRUE(facts->proven);
    EXPECT_EQ(facts->proven->height, height);
    EXPECT_EQ(encode_record(facts->proven->record), block->records[0]);
    EXPECT_EQ(encode_proof(*decode_proof(*proof)), *proof);
  }
  // Of an epoch whose list the checkpoint at the end does not name.
  const Place at = *Forgery().find(RecordType::receipt_batch);
  const std::string reference = std::to_string(at.block) + "/" + std::to_string(at.record);
  Proof proof = *decode_proof(*audit_prove(folder.path("l"), reference));
  EXPECT_GT(proof.checkpoint.links.size(), decode_checkpoint(honest.checkpoint)->links.size());
  const auto refused = [&](const Proof& wrong, const char* why) {
    const auto facts = audit_check(encode_proof(wrong), options);
    ASSERT_FALSE(facts.ok());
    EXPECT_NE(facts.error().message.find(why), std::string::npos) << facts.error().message;
  };
  Proof unproven = proof;
  unproven.checkpoint = *decode_checkpoint(honest.checkpoint);
  refused(unproven, " are not proven");
  proof.target.record[40] ^= 1;
  refused(proof, "it does not hold the record at position 0");
}

TEST(Witness, CosignsOnlyWhatExtendsItsLastHead) {
  const Honest& honest = Honest::get();
  const auto& blocks = honest.world.blocks();
  const Digest chain_id = honest.world.state().chain_id();
  const Folder folder(memory_folder());
  std::vector<Bytes> shorter(blocks.begin(), blocks.end() - 30);
  while (!decode_block(shorter.back())->finality->certificate) shorter.pop_back();
  const std::uint64_t old_height = shorter.size() - 1;
  write_log(folder.path("old"), shorter);
  write_log(folder.path("new"), blocks);
  ASSERT_TRUE(make_folders(folder.path("")).ok());
  const std::string state = folder.path("state");
  const KeyPair key = key_of(240);
  const auto old = audit_checkpoint(folder.path("old"));
  const auto cosigned = witness_cosign(*old, key, state, chain_id);
  ASSERT_TRUE(cosigned.ok()) << cosigned.error().message;
  EXPECT_TRUE(witness_cosign(*old, key, state).ok()) << "the same head again";
  EXPECT_EQ(witness_cosign(*cosigned, key, state)->size(), cosigned->size()) << "one cosignature a key";
  // Without the headers in between it cannot know.
  const auto bare = witness_cosign(honest.checkpoint, key, state);
  ASSERT_FALSE(bare.ok());
  EXPECT_NE(bare.error().message.find("--since " + std::to_string(old_height)), std::string::npos);
  const auto with_trail = audit_checkpoint(folder.path("new"), old_height);
  ASSERT_TRUE(with_trail.ok()) << with_trail.error().message;
  // Another history that ends higher, by a quorum that signed twice.
  {
    Forgery twin;
    std::size_t at = old_height;
    const Chain chain = twin.before(at);
    Block& head = twin.blocks[at];
    ++head.header.time_us;
    head.header.signature = twin.producer_of(head).sign(header_signing_digest(head.header).view());
    head.finality = vote_for(head, *chain.epoch(), chain.place(), twin.keys(), 0);
    ChainCheckpoint other = *decode_checkpoint(*old);
    other.head = {{head.header}, head.finality, sha256(consensus::payload_parts(encode_payload(head)).rest)};
    ASSERT_TRUE(LightChain::follow(other).ok()) << "it holds by itself";
    const auto refused = witness_cosign(encode_checkpoint(other), key, state);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, "not cosigned: another block " + std::to_string(at) + " was cosigned");
    // One that had cosigned that twin does not take the honest chain for an extension.
    const std::string other_state = folder.path("other");
    ASSERT_TRUE(witness_cosign(encode_checkpoint(other), key, other_state).ok());
    const auto no_extension = witness_cosign(*with_trail, key, other_state);
    ASSERT_FALSE(no_extension.ok());
    EXPECT_NE(no_extension.error().message.find("it does not extend block"), std::string::npos);
  }
  const auto both = witness_cosign(*witness_cosign(*with_trail, key, state), key_of(241), folder.path("s2"));
  ASSERT_TRUE(both.ok()) << both.error().message;
  const auto lower = witness_cosign(*old, key, state);
  ASSERT_FALSE(lower.ok());
  EXPECT_NE(lower.error().message.find("was cosigned already"), std::string::npos);
  const std::vector<PublicKey> two{key.public_key(), key_of(241).public_key()};
  EXPECT_TRUE(audit_check(*both, {chain_id, two, 2}).ok());
  EXPECT_FALSE(audit_check(*both, {chain_id, two, 3}).ok());
  EXPECT_FALSE(audit_check(*cosigned, {chain_id, two, 2}).ok()) << "only one of them signed";
  EXPECT_FALSE(audit_check(*both, {chain_id, {key_of(242).public_key()}, 1}).ok()) << "an unknown one";
  ChainCheckpoint forged = *decode_checkpoint(*both);
  forged.cosignatures[0].signature.bytes[0] ^= 1;
  const auto wrong = audit_check(encode_checkpoint(forged), {chain_id, two, 1});
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("its cosignature is not for this head"), std::string::npos);
}

TEST(Checkpoint, HasItsGoldenBytes) {
  expect_golden(UFAB_GOLDEN "/checkpoint/history.hex", Honest::get().checkpoint);
}

}  // namespace
}  // namespace ufab::test
