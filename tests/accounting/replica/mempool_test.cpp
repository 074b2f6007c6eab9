#include "accounting/replica/mempool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "accounting/replica/sim/founding.h"

namespace ufab {
namespace {

// A chain on which four organisations vote, and records that they sign.
struct MempoolTest : ::testing::Test {
  MempoolTest() : founding(sim::found({})) {
    for (const Bytes& encoded : founding.log) {
      auto block = decode_block(encoded);
      EXPECT_TRUE(block.ok());
      EXPECT_TRUE(chain.import(*std::move(block), Signatures::checked).ok());
    }
  }
  [[nodiscard]] const State& state() const { return chain.state(); }
  [[nodiscard]] std::uint64_t next(std::size_t org) const {
    return state().next_sequence(founding.owners[org].public_key());
  }
  [[nodiscard]] PooledRecord payment(std::size_t org, std::uint64_t sequence, bool own = false,
                                     MicroUnc amount = 1) const {
    Record record = sign_record(state().chain_id(), founding.owners[org], sequence, 0,
                                Transfer{static_cast<OrgId>(1 + (org + 1) % 4), amount, ""});
    Bytes encoding = encode_record(record);
    const RecordId id = record_id(encoding);
    return {std::move(record), std::move(encoding), id, 1000, own};
  }

  // The next block, by whoever leads the next view.
  void make_block(const std::vector<Record>& records) {
    const std::uint64_t view = chain.head().view + 1;
    for (const KeyPair& key : founding.validators) {
      if (state().producer(view).key != key.public_key()) continue;
      static_cast<void>(chain.make(records, key, 0, Signatures::check, view));
      return;
    }
    ADD_FAILURE() << "nobody leads view " << view;
  }

  sim::Founding founding;
  Chain chain;
};

TEST_F(MempoolTest, RecordsOfOneSignerGoInInTheirOrderWhateverTheOrderOfArrival) {
  Mempool pool({});
  const std::uint64_t first = next(1);
  for (const std::uint64_t at : {2U, 0U, 1U}) ASSERT_TRUE(pool.add(payment(1, first + at), state()).ok());
  const auto chosen = pool.choose(state(), SIZE_MAX, SIZE_MAX);
  ASSERT_EQ(chosen.size(), 3u);
  for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(chosen[i]->record.sequence, first + i);
}

TEST_F(MempoolTest, WhatComesAfterAGapWaitsForIt) {
  Mempool pool({});
  ASSERT_TRUE(pool.add(payment(1, next(1) + 1), state()).ok());
  ASSERT_TRUE(pool.add(payment(2, next(2)), state()).ok());
  const auto chosen = pool.choose(state(), SIZE_MAX, SIZE_MAX);
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0]->record.signer, founding.owners[2].public_key());
  EXPECT_TRUE(pool.has_any_for(state()));
}

TEST_F(MempoolTest, UsedNumbersRivalsAndStrangersAreTurnedAway) {
  Mempool pool({});
  EXPECT_EQ(pool.add(payment(1, next(1) - 1), state()).error().code, ErrorCode::conflict);
  ASSERT_TRUE(pool.add(payment(1, next(1)), state()).ok());
  EXPECT_TRUE(pool.add(payment(1, next(1)), state()).ok()) << "the same record again is fine";
  EXPECT_EQ(pool.size(), 1u);
  EXPECT_EQ(pool.add(payment(1, next(1), false, 2), state()).error().code, ErrorCode::conflict);
  PooledRecord stranger = payment(1, 1);
  stranger.record.signer = KeyPair::generate().public_key();
  stranger.id = sha256("stranger");
  EXPECT_EQ(pool.add(std::move(stranger), state()).error().code, ErrorCode::denied);
}

TEST_F(MempoolTest, IsBounded) {
  MempoolLimits limits;
  limits.of_one_signer = 3;
  limits.records = 5;
  Mempool pool(limits);
  for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(pool.add(payment(0, next(0) + i), state()).ok());
  EXPECT_EQ(pool.add(payment(0, next(0) + 3), state()).error().code, ErrorCode::limit);
  EXPECT_EQ(pool.add(payment(1, next(1) + 4), state()).error().code, ErrorCode::limit) << "too far ahead";
  for (std::uint64_t i = 0; i < 2; ++i) ASSERT_TRUE(pool.add(payment(1, next(1) + i), state()).ok());
  EXPECT_EQ(pool.add(payment(2, next(2)), state()).error().code, ErrorCode::unavailable);
}

TEST_F(MempoolTest, ABlockHasAtMostSoManyBytesAndRecords) {
  Mempool pool({});
  for (std::uint64_t i = 0; i < 10; ++i) ASSERT_TRUE(pool.add(payment(0, next(0) + i), state()).ok());
  EXPECT_EQ(pool.choose(state(), SIZE_MAX, 4).size(), 4u);
  const std::size_t one = payment(0, next(0)).encoding.size();
  EXPECT_EQ(pool.choose(state(), 3 * one + 1, SIZE_MAX).size(), 3u);
  EXPECT_TRUE(pool.choose(state(), 0, SIZE_MAX).empty());
}

TEST_F(MempoolTest, SettledRecordsLeaveAndThoseThatBecameUselessAreNamed) {
  Mempool pool({});
  const PooledRecord taken = payment(1, next(1));
  const PooledRecord rival = payment(2, next(2), true, 7);
  const PooledRecord stays = payment(3, next(3));
  for (const PooledRecord& record : {taken, rival, stays}) ASSERT_TRUE(pool.add(record, state()).ok());
  // A block with the first, and with another record of the second signer under the same number.
  const auto used = [&](std::size_t org, const Record& record) {
    EXPECT_EQ(record.signer, founding.owners[org].public_key());
    return record;
  };
  make_block({used(1, taken.record), used(2, payment(2, next(2)).record)});
  const auto useless = pool.settle({taken.id}, state());
  ASSERT_EQ(useless.size(), 1u);
  EXPECT_EQ(useless[0].id, rival.id);
  EXPECT_EQ(pool.size(), 1u);
  EXPECT_TRUE(pool.contains(stays.id));
}

TEST_F(MempoolTest, WhoseRecordsWereRefusedTooOftenWaitsForTheNextEpoch) {
  Mempool pool({});
  std::vector<Record> refused;
  for (std::uint64_t i = 0; i < state().params().refusals_per_epoch; ++i)
    refused.push_back(payment(1, next(1) + i, false, 1ULL << 60).record);
  make_block(refused);
  ASSERT_TRUE(pool.add(payment(1, next(1)), state()).ok());
  EXPECT_FALSE(pool.has_any_for(state())) << "no leader may think that it has something to propose";
  ASSERT_TRUE(pool.add(payment(2, next(2)), state()).ok());
  EXPECT_EQ(pool.choose(state(), SIZE_MAX, SIZE_MAX).size(), 1u);
  EXPECT_TRUE(pool.settle({}, state()).empty()) << "it may still become part of the chain";
  const std::uint64_t epoch = state().epoch();
  while (state().epoch() == epoch) make_block({});
  EXPECT_EQ(pool.choose(state(), SIZE_MAX, SIZE_MAX).size(), 2u);
}

TEST_F(MempoolTest, ARegistrationWhoseNameWasTakenLeaves) {
  Mempool pool({});
  const auto registration = [&](const KeyPair& key) {
    Record record = sign_record(state().chain_id(), key, 1, 0, Organisation{"newcomer", ""});
    Bytes encoding = encode_record(record);
    const RecordId id = record_id(encoding);
    return PooledRecord{std::move(record), std::move(encoding), id, 1000, true};
  };
  const KeyPair first = sim::key_from(1, "newcomer", 1), second = sim::key_from(1, "newcomer", 2);
  ASSERT_TRUE(pool.add(registration(first), state()).ok());
  ASSERT_TRUE(pool.add(registration(second), state()).ok());
  make_block({registration(first).record});
  const auto useless = pool.settle({registration(first).id}, state());
  ASSERT_EQ(useless.size(), 1u);
  EXPECT_EQ(useless[0].record.signer, second.public_key());
  EXPECT_EQ(pool.size(), 0u);
}

TEST_F(MempoolTest, OwnRecordsAreSentAgainOncePerPeriod) {
  Mempool pool({});
  ASSERT_TRUE(pool.add(payment(1, next(1), true), state()).ok());
  ASSERT_TRUE(pool.add(payment(2, next(2), false), state()).ok());
  EXPECT_TRUE(pool.to_send_again(1000, 5000, 10).empty()) << "it has only just come";
  EXPECT_EQ(pool.to_send_again(1001, 5000, 10).size(), 1u);
  EXPECT_TRUE(pool.to_send_again(4000, 6000, 10).empty());
  EXPECT_EQ(pool.to_send_again(5001, 9000, 10).size(), 1u);
}

RC_GTEST_FIXTURE_PROP(MempoolTest, WhateverComesABlockMadeOfItTurnsNothingAway, ()) {
  Mempool pool({});
  const auto arrivals = *rc::gen::container<std::vector<std::pair<std::size_t, std::uint64_t>>>(
      rc::gen::pair(rc::gen::inRange<std::size_t>(0, 4), rc::gen::inRange<std::uint64_t>(0, 8)));
  for (const auto& [org, ahead] : arrivals)
    static_cast<void>(pool.add(payment(org, next(org) + ahead), state()));
  const auto count = *rc::gen::inRange<std::size_t>(0, 40);
  std::vector<Record> records;
  for (const PooledRecord* record : pool.choose(state(), SIZE_MAX, count)) records.push_back(record->record);
  RC_ASSERT(records.size() <= count);
  Chain copy = chain;
  for (const KeyPair& key : founding.validators) {
    if (copy.state().producer(1).key != key.public_key()) continue;
    const AppliedBlock made = copy.make(records, key, 0, Signatures::check, 1);
    for (const RecordOutcome& outcome : made.outcomes) RC_ASSERT(outcome.on_chain);
  }
  // With room for all, everything without a gap before it goes in.
  std::size_t possible = 0;
  for (std::size_t org = 0; org < 4; ++org) {
    for (std::uint64_t sequence = next(org);; ++sequence) {
      const bool here = std::any_of(arrivals.begin(), arrivals.end(), [&](const auto& arrival) {
        return arrival.first == org && next(org) + arrival.second == sequence;
      });
      if (!here) break;
      ++possible;
    }
  }
  RC_ASSERT(pool.choose(state(), SIZE_MAX, SIZE_MAX).size() == possible);
}

}  // namespace
}  // namespace ufab
