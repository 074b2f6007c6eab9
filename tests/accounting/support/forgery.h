// A bundle that a test changes as an attacker would: blocks decoded, and everything put right again that
// needs no key, or one whose key he has.
#pragma once

#include <filesystem>
#include <regex>

#include "accounting/audit/audit.h"
#include "accounting/audit/checkpoint.h"
#include "accounting/log/segment_log.h"
#include "fabric/base/merkle.h"
#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/history.h"

namespace ufab::test {

inline void write_log(const std::string& folder, const std::vector<Bytes>& blocks) {
  ASSERT_TRUE(make_folders(folder + "/log").ok());
  auto log = SegmentLog::open(folder + "/log", 1 << 20, block_size_max,
                              [](std::uint64_t, ByteView) { return Status{}; });
  ASSERT_TRUE(log.ok());
  for (const Bytes& block : blocks) ASSERT_TRUE(log->put(block).ok());
  ASSERT_TRUE(log->sync().ok());
}

// The honest chain and its checkpoint, made once.
struct Honest {
  World world = make_history();
  Bytes checkpoint;
  Honest() {
    const Folder folder(memory_folder());
    write_log(folder.path("l"), world.blocks());
    auto made = audit_checkpoint(folder.path("l"));
    EXPECT_TRUE(made.ok()) << made.error().message;
    if (made.ok()) checkpoint = *made;
  }
  static const Honest& get() {
    static const Honest honest;
    return honest;
  }
};

struct Place {
  std::size_t block = 0, record = 0;
};

class Forgery {
 public:
  std::vector<Block> blocks;
  ChainCheckpoint checkpoint;

  Forgery() : honest_(Honest::get()) {
    for (const Bytes& bytes : honest_.world.blocks()) blocks.push_back(*decode_block(bytes));
    checkpoint = *decode_checkpoint(honest_.checkpoint);
  }
  // The chain before that block.
  [[nodiscard]] Chain before(std::size_t height) const {
    Chain chain;
    for (std::size_t i = 0; i < height; ++i)
      EXPECT_TRUE(chain.import(*decode_block(honest_.world.blocks()[i]), Signatures::checked).ok());
    return chain;
  }
  // The last record of that type, in a block that was voted for if there is one.
  [[nodiscard]] std::optional<Place> find(RecordType type) const {
    for (std::size_t b = blocks.size(); b-- > 0;) {
      for (std::size_t r = blocks[b].records.size(); r-- > 0;) {
        if (decode_record(blocks[b].records[r])->type() == type) return Place{b, r};
      }
    }
    return std::nullopt;
  }
  [[nodiscard]] const ValidatorKeys& keys() const { return honest_.world.validators(); }
  [[nodiscard]] const KeyPair& producer_of(const Block& block) const {
    const auto found = keys().find(block.header.producer_key);
    return found == keys().end() ? key_producer_ : found->second;
  }
  // The records' root and the header's signature, as its producer could make them.
  void reseal(std::size_t height) {
    Block& block = blocks[height];
    block.header.record_count = static_cast<std::uint32_t>(block.records.size());
    block.header.record_root = merkle::root(record_leaves(block.records));
    resign(height);
  }
  void resign(std::size_t height) {
    Block& block = blocks[height];
    block.header.signature = producer_of(block).sign(header_signing_digest(block.header).view());
    repropose(height);
  }
  // The leader signs its proposal of what the block is now; certificates stay as they are.
  void repropose(std::size_t height) {
    Block& block = blocks[height];
    if (!block.finality) return;
    Block bare = block;
    bare.finality.reset();
    SignedHeader& proposal = block.finality->proposal;
    proposal.header.payload_hash = consensus::payload_hash(encode_payload(bare));
    proposal.leader = producer_of(block).sign(consensus::vote_signing_bytes(
        proposal.header.chain_id, proposal.header.epoch, proposal.header.view, consensus::VoteKind::propose,
        consensus::header_digest(proposal.header)));
  }
  // The error of the audit; empty if it accepts.
  [[nodiscard]] std::string verdict() const {
    std::vector<Bytes> encodings;
    for (const Block& block : blocks) encodings.push_back(encode_block(block));
    const Folder folder(memory_folder());
    write(folder.path("b"), encodings);
    return verdict_of(folder.path("b"));
  }
  void write(const std::string& to, const std::vector<Bytes>& encodings) const {
    write_log(to, encodings);
    EXPECT_TRUE(write_file_unsynced(to + "/checkpoint", encode_checkpoint(checkpoint)).ok());
  }
  [[nodiscard]] std::string verdict_of(const std::string& folder) const {
    const auto result = audit_verify_bundle(folder, honest_.world.state().chain_id());
    if (result.ok()) return "";
    expect_place(result.error());
    return result.error().message;
  }
  [[nodiscard]] const World& world() const { return honest_.world; }

 private:
  // The block and the record that a program is told are those that a person reads.
  static void expect_place(const Error& error) {
    static const std::regex named("block ([0-9]+)( record ([0-9]+))?");
    std::smatch found;
    const bool any = std::regex_search(error.message, found, named);
    const AuditPlace place = audit_place(error);
    EXPECT_EQ(place.block ? std::to_string(*place.block) : "", any ? found[1].str() : "") << error.message;
    EXPECT_EQ(place.record ? std::to_string(*place.record) : "", any ? found[3].str() : "") << error.message;
  }
  const Honest& honest_;
  const KeyPair key_producer_ = key_of(1);
};

}  // namespace ufab::test
