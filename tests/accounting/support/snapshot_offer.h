// Ledgers that are given a World's blocks, and what they hand out to a node that joins.
#pragma once

#include <gtest/gtest.h>

#include "accounting/ledger.h"
#include "accounting/snapshot/manifest.h"

namespace ufab::test {

// A replica with the first `count` of these blocks.
inline std::unique_ptr<Ledger> joined(const LedgerOptions& options, const std::vector<Bytes>& blocks,
                                      std::size_t count) {
  auto ledger = Ledger::join(options, blocks[0]);
  EXPECT_TRUE(ledger.ok()) << ledger.error().message;
  std::vector<Bytes> run;
  for (std::size_t at = 1; at < count; ++at) {
    run.push_back(blocks[at]);
    const Status status = (*ledger)->import_blocks(run);
    if (status.ok()) run.clear();
    EXPECT_TRUE(status.ok() || status.error().code == ErrorCode::unavailable) << status.error().message;
  }
  return *std::move(ledger);
}

struct Offer {
  SnapshotManifest manifest;
  std::vector<Bytes> chunks;
};

// Of the ledger's head, which ends an epoch.
inline Offer offer_of(const Ledger& ledger) {
  auto draft = ledger.draft_snapshot();
  EXPECT_TRUE(draft.ok()) << draft.error().message;
  auto snapshot = StateSnapshot::take(draft->state);
  EXPECT_TRUE(snapshot.ok()) << snapshot.error().message;
  return {{std::move(draft->checkpoint), std::move(snapshot->index)}, std::move(snapshot->chunks)};
}

}  // namespace ufab::test
