// A ledger on disk whose blocks several validators have made: what it takes in, and what it does after
// damage.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "accounting/audit/audit.h"
#include "accounting/ledger.h"
#include "accounting/log/segment_log.h"
#include "accounting/replica/sim/cluster.h"

namespace ufab {
namespace {

namespace fs = std::filesystem;

// Some epochs of a chain of four validators, made once.
const std::vector<Bytes>& voted_log() {
  static const std::vector<Bytes> log = [] {
    sim::ClusterOptions options;
    options.faults = options.jobs = false;
    options.lies = sim::Lies::never;
    options.chaos_s = 12;
    sim::Cluster cluster(7, options);
    EXPECT_EQ(cluster.run().violation, "");
    return cluster.log(0);
  }();
  return log;
}

Block block_of(const Bytes& encoded) {
  auto block = decode_block(encoded);
  EXPECT_TRUE(block.ok());
  return *std::move(block);
}

std::size_t first_voted() {
  std::size_t at = 0;
  while (!block_of(voted_log()[at]).finality) ++at;
  return at;
}

struct VotedLedger : ::testing::Test {
  VotedLedger() { fs::create_directories(folder()); }
  ~VotedLedger() override { fs::remove_all(folder()); }
  [[nodiscard]] std::string folder() const {
    return ::testing::TempDir() + "voted-ledger-" + std::to_string(::getpid());
  }
  [[nodiscard]] LedgerOptions options(bool repair = false) {
    LedgerOptions options;
    options.folder = folder();
    options.segment_size_max = 16 << 10;
    options.repair = repair;
    options.repaired = [this](const std::string& line) { repaired = line; };
    return options;
  }
  // A replica that has the first `count` blocks.
  std::unique_ptr<Ledger> joined(std::size_t count) {
    auto ledger = Ledger::join(options(), voted_log()[0]);
    EXPECT_TRUE(ledger.ok());
    import(**ledger, 1, count);
    return *std::move(ledger);
  }
  // Those blocks, in one run: some become final with a later one.
  static void import(Ledger& ledger, std::size_t first, std::size_t end) {
    const auto at = [](std::size_t i) { return voted_log().begin() + static_cast<std::ptrdiff_t>(i); };
    const Status status = ledger.import_blocks({at(first), at(end)});
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
  std::string repaired;
};

TEST_F(VotedLedger, TakesInWhatHoldsAndOpensAgain) {
  const std::size_t all = voted_log().size();
  ASSERT_GT(all, first_voted() + 20);
  Digest head;
  {
    const auto ledger = joined(all);
    head = ledger->head().hash;
    EXPECT_EQ(ledger->head().height, all - 1);
    EXPECT_FALSE(ledger->is_producer());
    for (const Bytes& encoded : voted_log()) EXPECT_TRUE(ledger->import_block(encoded).ok()) << "again";
  }
  const auto again = Ledger::open(options());
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ((*again)->head().hash, head);
  EXPECT_TRUE(audit_verify(folder(), std::nullopt).ok());
}

TEST_F(VotedLedger, RefusesBlocksWhoseVotesDoNotHold) {
  const std::size_t next = first_voted() + 5;
  const auto ledger = joined(next);
  const Digest head = ledger->head().hash;
  const auto refused = [&](const char* what, const std::function<void(Block&)>& change, const char* says) {
    Block block = block_of(voted_log()[next]);
    change(block);
    const Status status = ledger->import_block(encode_block(block));
    ASSERT_FALSE(status.ok()) << what;
    EXPECT_NE(status.error().message.find(says), std::string::npos) << what << ": " << status.error().message;
    EXPECT_EQ(ledger->head().hash, head) << what;
  };
  const auto change_certificate = [](Block& block,
                                     const std::function<void(consensus::Certificate&)>& change) {
    auto certificate = std::make_shared<consensus::Certificate>(*block.finality->certificate);
    change(*certificate);
    block.finality->certificate = certificate;
  };
  refused(
      "no votes", [](Block& b) { b.finality.reset(); }, "it has no votes");
  refused(
      "no certificate", [](Block& b) { b.finality->certificate = nullptr; }, "certificate");
  refused(
      "a vote with a wrong signature",
      [&](Block& b) { change_certificate(b, [](auto& c) { c.signatures[0].bytes[3] ^= 1; }); },
      "does not hold");
  refused(
      "a vote too few",
      [&](Block& b) {
        change_certificate(b, [](auto& c) {
          while (c.signers.size() > 2) {
            c.signers.pop_back();
            c.signatures.pop_back();
          }
        });
      },
      "does not hold");
  refused(
      "a notarisation",
      [&](Block& b) { change_certificate(b, [](auto& c) { c.kind = consensus::VoteKind::notarise; }); },
      "something else");
  refused(
      "a certificate of another block",
      [&](Block& b) { b.finality->certificate = block_of(voted_log()[next - 1]).finality->certificate; },
      "something else");
  refused(
      "another leader's signature", [](Block& b) { b.finality->proposal.leader.bytes[5] ^= 1; },
      "was not signed by the leader");
  refused(
      "a changed block", [](Block& b) { b.header.time_us += 1; }, "carries another block");
  refused(
      "a changed view", [](Block& b) { b.finality->proposal.header.view += 1; }, "view");
  refused(
      "the wrong block", [&](Block& b) { b = block_of(voted_log()[next + 1]); }, "is needed first");
  EXPECT_TRUE(ledger->import_block(voted_log()[next]).ok());
}

TEST_F(VotedLedger, BlocksThatBecameFinalTogetherAreTakenInTogether) {
  const std::size_t next = first_voted() + 5;
  const auto ledger = joined(next);
  // The second one's certificate makes both final.
  Block first = block_of(voted_log()[next]);
  first.finality->certificate = nullptr;
  const Status alone = ledger->import_block(encode_block(first));
  EXPECT_EQ(alone.error().code, ErrorCode::unavailable);
  ASSERT_TRUE(ledger->import_blocks({encode_block(first), voted_log()[next + 1]}).ok());
  EXPECT_EQ(ledger->head().height, next + 1);
}

TEST_F(VotedLedger, ATailWithoutItsCertificateIsCutOff) {
  const std::size_t next = first_voted() + 5;
  { const auto ledger = joined(next); }
  {
    auto log =
        SegmentLog::open(folder() + "/log", 16 << 10, block_size_max, [](auto, auto) { return Status(); });
    ASSERT_TRUE(log.ok());
    for (std::size_t i = next; i < next + 3; ++i) {
      Block block = block_of(voted_log()[i]);
      block.finality->certificate = nullptr;
      ASSERT_TRUE(log->append(encode_block(block)).ok());
    }
  }
  EXPECT_FALSE(audit_verify(folder(), std::nullopt).ok()) << "nothing makes its last blocks final";
  const auto ledger = Ledger::open(options());
  ASSERT_TRUE(ledger.ok()) << ledger.error().message;
  EXPECT_EQ((*ledger)->head().height, next - 1);
  for (std::size_t i = next; i < next + 3; ++i) EXPECT_TRUE((*ledger)->import_block(voted_log()[i]).ok());
}

// Every segment of the log in turn, damaged in the middle or at its start.
TEST_F(VotedLedger, RepairsADamagedLogFromItsPeers) {
  const std::size_t all = voted_log().size();
  { const auto ledger = joined(all); }
  std::vector<fs::path> segments;
  for (const auto& entry : fs::directory_iterator(folder() + "/log")) segments.push_back(entry.path());
  std::sort(segments.begin(), segments.end());
  ASSERT_GT(segments.size(), 3u);
  for (std::size_t which = 0; which < segments.size(); ++which) {
    const auto size = static_cast<std::streamoff>(fs::file_size(segments[which]));
    {
      std::fstream file(segments[which], std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(which % 2 == 0 ? size / 2 : 20);
      file.put('\x5a').put('\xa5').put('\x5a');
    }
    const auto strict = Ledger::open(options());
    ASSERT_FALSE(strict.ok()) << which;
    EXPECT_EQ(strict.error().code, ErrorCode::corrupt) << which;
    repaired.clear();
    const auto ledger = Ledger::open(options(true));
    ASSERT_TRUE(ledger.ok()) << which << ": " << ledger.error().message;
    EXPECT_NE(repaired.find("damaged"), std::string::npos) << which;
    const std::uint64_t height = (*ledger)->head().height;
    EXPECT_LT(height + 1, all) << which;
    import(**ledger, height + 1, all);
    EXPECT_EQ((*ledger)->head().height, all - 1) << which;
  }
  EXPECT_TRUE(audit_verify(folder(), std::nullopt).ok());
}

TEST_F(VotedLedger, ARecordIsExpectedUntilItsBlockIsFinal) {
  const std::size_t next = first_voted() + 3;
  const auto ledger = joined(next);
  std::size_t at = next;
  std::optional<RecordId> id;
  for (; !id; ++at) {
    for (const Bytes& encoding : block_of(voted_log()[at]).records) {
      const auto record = decode_record(encoding);
      if (record.ok() && record->type() == RecordType::transfer) id = record_id(encoding);
    }
  }
  const auto expected = ledger->expect(*id);
  EXPECT_FALSE(expected->wait(0));
  const auto turned_away = ledger->expect(sha256("another"));
  ledger->turn_away(sha256("another"), {ErrorCode::conflict, "too late"});
  ASSERT_TRUE(turned_away->wait(0));
  EXPECT_EQ(turned_away->wait(0)->error().message, "too late");
  import(*ledger, next, at);
  const auto outcome = expected->wait(0);
  ASSERT_TRUE(outcome);
  if (outcome->ok()) {
    EXPECT_EQ((*outcome)->height, at - 1);
  }
  EXPECT_FALSE(ledger->expect(*id)->wait(0)) << "it will not become final again";
  ASSERT_TRUE(ledger->outcome_of(*id));
  EXPECT_EQ(ledger->outcome_of(*id)->ok(), outcome->ok());
  EXPECT_FALSE(ledger->outcome_of(sha256("another")));
}

}  // namespace
}  // namespace ufab
