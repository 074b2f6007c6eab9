// Snapshots of the state: what comes back is the state, whatever is changed on the way is refused.
#include "accounting/state/snapshot.h"

#include <gtest/gtest.h>

#include "tests/accounting/support/golden.h"
#include "tests/accounting/support/history.h"
#include "tests/accounting/support/snapshot.h"
#include "tests/accounting/support/snapshot_index.h"

namespace ufab::test {
namespace {

struct History {
  World world = make_history();
  std::vector<Block> blocks;
  std::vector<State> states;  // after each block

  History() {
    Chain chain;
    for (const Bytes& bytes : world.blocks()) {
      blocks.push_back(*decode_block(bytes));
      UFAB_ASSERT(chain.import(blocks.back(), Signatures::checked).ok());
      states.push_back(chain.state());
    }
  }
  static const History& get() {
    static const History history;
    return history;
  }
};

TEST(StateSnapshot, AStateThatCameBackGoesOnLikeTheOriginalFromEveryBlock) {
  const History& history = History::get();
  for (const State& state : history.states) {
    const Status same = follow(history.world, state, 25);
    ASSERT_TRUE(same.ok()) << "from block " << state.height() << ": " << same.error().message;
  }
}

TEST(StateSnapshot, OfAStateThatCameBackIsTheSameToTheLastBit) {
  const History& history = History::get();
  for (std::size_t at = 0; at < history.states.size(); at += 10) {
    const auto first = StateSnapshot::take(history.states[at]);
    const auto back = restored(history.world, history.states[at]);
    ASSERT_TRUE(back.ok()) << back.error().message;
    const auto second = StateSnapshot::take(*back);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(encode_snapshot_index(first->index), encode_snapshot_index(second->index));
    EXPECT_EQ(first->chunks, second->chunks);
    EXPECT_EQ(back->chain_name(), history.states[at].chain_name());
    EXPECT_EQ(back->jobs_in_progress(), history.states[at].jobs_in_progress());
  }
}

TEST(StateSnapshot, AChainGoesOnFromTheFirstBlockOfEveryEpochWithItsVotes) {
  const History& history = History::get();
  const std::uint64_t epoch_blocks = history.world.state().params().epoch_blocks;
  bool voted = false;
  for (std::uint64_t from = 0; from < history.blocks.size(); from += epoch_blocks) {
    auto state = restored(history.world, history.states[from]);
    ASSERT_TRUE(state.ok()) << state.error().message;
    Chain chain =
        Chain::resume(*std::move(state), history.blocks[from].header, history.blocks[from].finality);
    voted = voted || chain.epoch() != nullptr;
    const std::uint64_t last =
        std::min<std::uint64_t>(history.blocks.size() - 1, from + 2 * epoch_blocks + 1);
    for (std::uint64_t at = from + 1; at <= last; ++at) {
      consensus::BlockRef place = chain.place();
      const Status final = chain.check_finality(history.blocks[at], place, consensus::Ed25519Scheme());
      ASSERT_TRUE(final.ok()) << "from " << from << ": " << final.error().message;
      const auto imported = chain.import(history.blocks[at]);
      ASSERT_TRUE(imported.ok()) << "from " << from << ": " << imported.error().message;
    }
    EXPECT_EQ(chain.head_hash(), block_hash(history.blocks[last].header));
  }
  EXPECT_TRUE(voted);
}

TEST(StateSnapshot, RemembersKeysThatWereRetiredAndJobsThatLeft) {
  World world;
  world.add_organisations();
  const KeyPair old = world.key(gamma).copy();
  const KeyPair next = key_of(99);
  const Digest change = key_change_digest(world.state().chain_id(), old.public_key(), next.public_key());
  world.must(gamma, KeyChange{next.public_key(), next.sign(change.view())});
  world.replace_key(gamma, next.copy());
  const JobId job = world.start_job(alpha, {{beta, 0, 6}});
  world.must(alpha, Cancel{job, JobResult::cancelled, "enough"});
  world.empty_blocks(world.state().params().job_retention_blocks + 2);
  ASSERT_EQ(world.state().job(job), nullptr);
  const auto back = restored(world, world.state());
  ASSERT_TRUE(back.ok()) << back.error().message;
  const Digest chain_id = world.state().chain_id();
  const Record again = sign_record(chain_id, old, 1, 1, Organisation{"gamma2", ""});
  EXPECT_EQ(back->admissible(again).error().message, world.state().admissible(again).error().message);
  const auto import_by = [&](OrgId org) {
    State copy = *back;
    return copy.apply(world.sign(org, UsageImport{job, 1, usage_values()}));
  };
  EXPECT_TRUE(import_by(beta).ok()) << "it leased the job, which has left the state";
  EXPECT_FALSE(import_by(gamma).ok());
}

TEST(StateSnapshot, ForgetsPastJobsAndTheirImportsWhenTheOriginalDoes) {
  ChainParams params = World::small_params();
  params.job_retention_blocks = 1;
  World world(params);
  world.add_organisations();
  for (int i = 0; i < 3; ++i) {
    const JobId job = world.start_job(alpha, {{beta, 0, 6}});
    world.must(alpha, Cancel{job, JobResult::cancelled, "enough"});
    world.must(beta, UsageImport{job, 1, usage_values(static_cast<std::uint64_t>(20 + i))});
  }
  world.empty_blocks(4);
  const State before = world.state();
  ASSERT_EQ(before.usage_imports().past_jobs().size(), 3U);
  world.empty_blocks(UsageImports::late_factor + 4);
  ASSERT_TRUE(world.state().usage_imports().past_jobs().empty());
  const Status same = follow(world, before, 1000);
  EXPECT_TRUE(same.ok()) << same.error().message;
}

TEST(StateSnapshot, IsCutIntoChunksOfAboutAMebibyteThatAreEachCheckedAlone) {
  World world;
  world.add_organisations();
  for (int i = 0; i < 4000; i += 100) {
    std::vector<Record> orders;
    for (int j = 0; j < 100; ++j) {
      JobOrder order = World::order();
      order.budget = 1000;
      order.name = std::string(64, 'j');
      order.idempotency_key = "key-" + std::string(40, 'k') + std::to_string(i + j);
      orders.push_back(sign_record(
          world.state().chain_id(), world.key(alpha),
          world.state().next_sequence(world.key(alpha).public_key()) + static_cast<std::uint64_t>(j),
          world.now_us(), order));
    }
    for (const RecordOutcome& outcome : world.make(orders).outcomes) ASSERT_TRUE(outcome.status.ok());
  }
  const auto snapshot = StateSnapshot::take(world.state());
  ASSERT_TRUE(snapshot.ok());
  EXPECT_GT(snapshot->chunks.size(), 1U);
  std::size_t total = 0;
  for (const Bytes& chunk : snapshot->chunks) {
    EXPECT_LE(chunk.size(), chunk_size_aim);
    total += chunk.size();
  }
  EXPECT_GT(2 * total, chunk_size_aim * snapshot->chunks.size() / 2) << "not more chunks than needed";
  const SnapshotBase base = snapshot_base(world.blocks(), world.state().height());
  auto begun = StateSnapshot::Restore::begin(base, snapshot->index);
  ASSERT_TRUE(begun.ok());
  // A chunk in another's place, or a changed one, is refused and can come again from somebody else.
  EXPECT_EQ(begun->add(0, snapshot->chunks[1]).error().code, ErrorCode::corrupt);
  Bytes bad = snapshot->chunks[1];
  bad[bad.size() / 2] ^= 1;
  EXPECT_EQ(begun->add(1, bad).error().code, ErrorCode::corrupt);
  EXPECT_FALSE(begun->has(1));
  for (std::uint32_t i = 0; i < begun->chunks(); ++i) ASSERT_TRUE(begun->add(i, snapshot->chunks[i]).ok());
  const auto back = std::move(*begun).finish();
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->jobs().size(), world.state().jobs().size());
  EXPECT_EQ(back->job_by_idempotency_key(alpha, "key-" + std::string(40, 'k') + "17"),
            world.state().job_by_idempotency_key(alpha, "key-" + std::string(40, 'k') + "17"));
}

// A small chain's state with a job under way and a benchmark that waits for its check.
World small_world() {
  ChainParams params = World::small_params();
  params.enrolment.bench_window_blocks = 2;
  params.enrolment.bench_epochs = 5;
  params.enrolment.bench_ms_min = 1000;
  World world(params);
  for (const char* name : {"alpha", "beta"}) world.add_organisation(name);
  world.empty_blocks(1);
  const std::uint64_t height = world.state().height();
  world.must(beta, ProviderBenchmark{height, 3, 100, {digest_of("lane 0"), digest_of("lane 1")}});
  world.empty_blocks(1);
  world.start_job(alpha, {{beta, 0, 6}});
  world.must(beta, ReceiptBatch::of({world.receipt(1, beta, 0)}));
  return world;
}

// What tests/fuzz/snapshot.cpp reads.
Bytes whole(const SnapshotBase& base, const Snapshot& snapshot) {
  Writer writer;
  writer.blob(base.genesis);
  const BlockContext& head = base.context;
  for (const std::uint64_t value : {head.height, head.time_us, head.view}) writer.u64(value);
  writer.raw(head.previous.view());
  writer.u32(head.producer);
  writer.u32(static_cast<std::uint32_t>(base.marks.size()));
  for (const BlockMark& mark : base.marks) {
    writer.u64(mark.height);
    writer.raw(mark.hash.view());
    writer.u64(mark.time_us);
  }
  writer.blob(encode_snapshot_index(snapshot.index));
  writer.blob(snapshot.chunks[0]);
  return writer.take();
}

TEST(StateSnapshot, HasItsGoldenBytes) {
  const World world = small_world();
  const auto snapshot = StateSnapshot::take(world.state());
  ASSERT_TRUE(snapshot.ok());
  ASSERT_EQ(snapshot->chunks.size(), 1U);
  expect_golden(UFAB_GOLDEN "/snapshot/small.hex",
                whole(snapshot_base(world.blocks(), world.state().height()), *snapshot));
}

TEST(StateSnapshot, EveryBitOfAChunkAndOfTheIndexCounts) {
  const World world = small_world();
  const auto snapshot = StateSnapshot::take(world.state());
  ASSERT_TRUE(snapshot.ok());
  const SnapshotBase base = snapshot_base(world.blocks(), world.state().height());
  const auto begun = StateSnapshot::Restore::begin(base, snapshot->index);
  ASSERT_TRUE(begun.ok());
  Bytes chunk = snapshot->chunks[0];
  for (std::size_t i = 0; i < chunk.size(); i += i < 64 ? 1 : 7) {
    chunk[i] ^= static_cast<std::uint8_t>(1U << i % 8);
    auto attempt = *begun;
    const Status added = attempt.add(0, chunk);
    ASSERT_FALSE(added.ok()) << "byte " << i;
    EXPECT_EQ(added.error().code, ErrorCode::corrupt) << "byte " << i;
    chunk[i] = snapshot->chunks[0][i];
  }
  Bytes index = encode_snapshot_index(snapshot->index);
  const Bytes honest = index;
  for (std::size_t i = 0; i < index.size(); i += i < 32 ? 1 : 13) {
    index[i] ^= static_cast<std::uint8_t>(1U << i % 8);
    const auto decoded = decode_snapshot_index(index);
    EXPECT_FALSE(decoded.ok() && restore(base, *decoded, snapshot->chunks).ok()) << "byte " << i;
    index[i] = honest[i];
  }
}

TEST(StateSnapshot, WhatTheHeadersSayIsHeldAgainstTheEntries) {
  const World world = small_world();
  const auto snapshot = StateSnapshot::take(world.state());
  const SnapshotBase honest = snapshot_base(world.blocks(), world.state().height());
  const auto refused = [&](const char* what, const std::function<void(SnapshotBase&)>& change) {
    SnapshotBase base = honest;
    change(base);
    EXPECT_FALSE(restore(base, snapshot->index, snapshot->chunks).ok()) << what;
  };
  ASSERT_TRUE(restore(honest, snapshot->index, snapshot->chunks).ok());
  refused("another root", [](SnapshotBase& b) { b.state_root = digest_of("x"); });
  refused("another chain", [](SnapshotBase& b) {
    b.genesis = encode_record(sign_record({}, key_of(2), 1, 0, genesis_of(World::small_params())));
  });
  refused("no genesis",
          [](SnapshotBase& b) { b.genesis = encode_record(sign_record({}, key_of(1), 1, 0, Stake{1})); });
  refused("another height", [](SnapshotBase& b) {
    ++b.context.height;
    for (BlockMark& mark : b.marks) ++mark.height;
  });
  refused("an unknown producer", [](SnapshotBase& b) { b.context.producer = 77; });
  refused("another block before", [](SnapshotBase& b) { b.context.previous = digest_of("x"); });
  refused("a mark is missing", [](SnapshotBase& b) { b.marks.erase(b.marks.begin()); });
  refused("time goes back", [](SnapshotBase& b) { b.marks[0].time_us = b.marks[1].time_us + 1; });
  refused("the head's time is before", [](SnapshotBase& b) { b.context.time_us = 1; });
}

// Entries of a snapshot as they are, to be changed and hashed anew: what a liar with a validator's key makes.
struct Entries {
  struct Item {
    StateKey key;
    Bytes value, annex;
  };
  std::vector<std::vector<Item>> buckets;

  explicit Entries(const Bytes& chunk) {
    Reader reader(chunk);
    for (std::size_t i = 0; i < StateTree::buckets_count; ++i) {
      std::vector<Item>& bucket = buckets.emplace_back();
      for (std::uint32_t count = reader.u32(); count > 0; --count) {
        Item item;
        item.key.slot = reader.u8();
        item.key.a = reader.u64();
        item.key.b = reader.u64();
        const ByteView value = reader.blob(chunk_size_max);
        item.value.assign(value.begin(), value.end());
        const ByteView annex = reader.blob(chunk_size_max);
        item.annex.assign(annex.begin(), annex.end());
        bucket.push_back(std::move(item));
      }
    }
  }
  [[nodiscard]] Bytes chunk() const {
    Writer writer;
    for (const auto& bucket : buckets) {
      writer.u32(static_cast<std::uint32_t>(bucket.size()));
      for (const Item& item : bucket) {
        writer.u8(item.key.slot);
        writer.u64(item.key.a);
        writer.u64(item.key.b);
        writer.blob(item.value);
        writer.blob(item.annex);
      }
    }
    return writer.take();
  }
  template <class T>
  void change(StateSlot slot, std::uint64_t a, const std::function<void(T&)>& how) {
    for (auto& bucket : buckets) {
      for (Item& item : bucket) {
        if (item.key.slot != static_cast<std::uint8_t>(slot) || item.key.a != a) continue;
        T value = *decode_entry<T>(item.value);
        how(value);
        Writer writer;
        encode_entry(writer, value);
        item.value = writer.take();
        return;
      }
    }
    ADD_FAILURE() << "no such entry";
  }
  void drop(StateSlot slot, std::uint64_t a) {
    for (auto& bucket : buckets) {
      std::erase_if(bucket, [&](const Item& item) {
        return item.key.slot == static_cast<std::uint8_t>(slot) && item.key.a == a;
      });
    }
  }
};

TEST(StateSnapshot, EntriesThatContradictEachOtherAreRefusedEvenUnderTheirOwnRoot) {
  const World world = small_world();
  const auto snapshot = StateSnapshot::take(world.state());
  const SnapshotBase honest = snapshot_base(world.blocks(), world.state().height());
  const auto refused = [&](const std::string& why, const std::function<void(Entries&)>& lie) {
    Entries entries(snapshot->chunks[0]);
    lie(entries);
    const std::vector<Bytes> chunks{entries.chunk()};
    const auto index = index_of(chunks);
    ASSERT_TRUE(index.has_value());
    SnapshotBase base = honest;
    base.state_root = StateTree::root_of(index->buckets);
    const auto made = restore(base, *index, chunks);
    ASSERT_FALSE(made.ok()) << why;
    EXPECT_EQ(made.error().code, ErrorCode::invalid) << why;
    EXPECT_NE(made.error().message.find(why), std::string::npos) << made.error().message;
  };
  const auto drop = [](StateSlot slot, std::uint64_t a) {
    return [slot, a](Entries& e) { e.drop(slot, a); };
  };
  const auto org = [](OrgId id, std::function<void(OrgEntry&)> how) {
    return [id, how](Entries& e) { e.change<OrgEntry>(StateSlot::organisation, id, how); };
  };
  const auto job = [](std::function<void(JobEntry&)> how) {
    return [how](Entries& e) { e.change<JobEntry>(StateSlot::job, 1, how); };
  };
  const auto window = [](std::function<void(WindowEntry&)> how) {
    return [how](Entries& e) { e.change<WindowEntry>(StateSlot::window, 1, how); };
  };
  refused("what is there once", drop(StateSlot::global, 0));
  refused("organisation 2 is missing", drop(StateSlot::organisation, 2));
  refused("the founder is missing", drop(StateSlot::organisation, 1));
  refused("its name is taken", org(2, [](OrgEntry& o) { o.name = "beta"; }));
  refused("a key is missing", drop(StateSlot::key, 0));
  refused("a key of it is not among", drop(StateSlot::key, 2));
  refused("a key of it is not among", org(3, [](OrgEntry& o) { o.key = key_of(77).public_key(); }));
  refused("what it has in escrow", org(2, [](OrgEntry& o) { ++o.escrowed; }));
  refused("what unbonds", org(2, [](OrgEntry& o) { o.unbonding.push_back({5, 1}); }));
  refused("its standing", org(2, [](OrgEntry& o) { o.standing.step = 1000; }));
  refused("its benchmark", org(3, [](OrgEntry& o) { o.benchmark->lane = 2; }));
  refused("the verifier of its benchmark", org(3, [](OrgEntry& o) { o.benchmark->verifier = 9; }));
  refused("is not the sum", drop(StateSlot::account, static_cast<std::uint64_t>(AccountKind::escrow)));
  refused("job 1 is missing", drop(StateSlot::job, 1));
  refused("its owner is missing", job([](JobEntry& j) { j.owner = 9; }));
  refused("its phase", job([](JobEntry& j) { j.phase = JobPhase::ordered; }));
  refused("a member is missing", job([](JobEntry& j) { j.attempts[0].members[0].share.organisation = 9; }));
  refused("an attempt of it", job([](JobEntry& j) { j.attempts[0].number = 2; }));
  refused("a window of it", window([](WindowEntry& w) { w.attempt = 2; }));
  refused("verifier of a window", window([](WindowEntry& w) { w.check = WindowCheck::assigned; }));
  refused("another state root", [](Entries& e) {
    for (std::size_t i = 0; i + 1 < e.buckets.size(); ++i) {
      if (e.buckets[i].empty()) continue;
      std::swap(e.buckets[i], e.buckets[i + 1]);  // the same entries elsewhere
      return;
    }
  });
}

}  // namespace
}  // namespace ufab::test
