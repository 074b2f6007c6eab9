// A small federation in memory for tests: deterministic keys, a chain, and helpers that run jobs on it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "accounting/chain/chain.h"
#include "accounting/hpos/validator_key.h"
#include "tests/accounting/support/votes.h"

namespace ufab::test {

inline KeyPair key_of(std::uint8_t number) {
  std::array<std::uint8_t, 32> seed{};
  seed.fill(number);
  return KeyPair::from_seed(seed);
}

inline Digest digest_of(const std::string& text) {
  return sha256(text);
}

inline Genesis genesis_of(ChainParams params = {}) {
  return {"test-chain", "chain", "", params};
}

// Organisations: chain (1, the validator), alpha (2), beta (3), gamma (4) with an active provider and stake
// each, delta (5) likewise: it verifies. Every organisation but the first has 1,000 UNC and stakes 200.
class World {
 public:
  explicit World(ChainParams params = small_params()) {
    keys_.push_back(key_of(1));
    auto made = Chain::make_genesis(chain_, keys_[0], genesis_of(params), now_us_);
    UFAB_ASSERT(made.ok());
    blocks_.push_back(encode_block(made->block));
  }

  static ChainParams small_params() {
    ChainParams params;
    params.epoch_blocks = 50;
    params.verify_deadline_blocks = 20;
    params.countersign_deadline_blocks = 20;
    params.job_retention_blocks = 100;
    return params;
  }

  void add_organisations() {
    for (const char* name : {"alpha", "beta", "gamma", "delta"}) add_organisation(name);
  }
  OrgId add_organisation(const std::string& name, const std::string& endpoint = "127.0.0.1:7000") {
    keys_.push_back(key_of(static_cast<std::uint8_t>(keys_.size() + 1)));
    const OrgId id = static_cast<OrgId>(keys_.size());
    must(id, Organisation{name, endpoint});
    must(1, Transfer{id, 1200 * micro_per_unc, "grant"});
    must(id, Stake{200 * micro_per_unc});
    must(id, ProviderEnrol{{name + "-cluster", 2, 1, 1 << 30, 50'000, 1000, 100'000}});
    return id;
  }

  Record sign(OrgId org, RecordBody body) {
    const KeyPair& key = keys_.at(org - 1);
    return sign_record(chain_.state().chain_id(), key, chain_.state().next_sequence(key.public_key()),
                       now_us_, std::move(body));
  }
  RecordOutcome submit(OrgId org, RecordBody body) { return submit(sign(org, std::move(body))); }
  RecordOutcome submit(const Record& record) { return make({record}).outcomes[0]; }
  AppliedBlock make(const std::vector<Record>& records) {
    now_us_ += 1'000'000;
    AppliedBlock made = chain_.state().by_vote() ? make_by_vote(records) : make_alone(records);
    blocks_.push_back(encode_block(made.block));
    for (const Record& record : made.records) log_.push_back(record);
    return made;
  }
  RecordOutcome must(OrgId org, RecordBody body) {
    RecordOutcome outcome = submit(org, std::move(body));
    EXPECT_TRUE(outcome.status.ok()) << outcome.status.error().message;
    return outcome;
  }
  // The refusal's reason; empty when the record was accepted.
  std::string refused(OrgId org, RecordBody body) {
    const RecordOutcome outcome = submit(org, std::move(body));
    if (outcome.status.ok()) return "";
    EXPECT_TRUE(outcome.on_chain) << outcome.status.error().message;
    return outcome.status.error().message;
  }
  // The organisation stands for a seat with a validator's key of this number; from the epoch on in which it has
  // one, blocks are made and voted for with its key.
  RecordOutcome stand(OrgId org, std::uint8_t number) { return must(org, stand_of(org, number)); }
  ValidatorStand stand_of(OrgId org, std::uint8_t number) {
    KeyPair validator = key_of(number);
    const ValidatorStand stand =
        hpos::make_stand(chain_.state().chain_id(), key(org).public_key(), validator);
    validators_.insert_or_assign(stand.key, std::move(validator));
    return stand;
  }
  [[nodiscard]] const KeyPair& validator(const PublicKey& key) const { return validators_.at(key); }
  // The first view of the next block.
  [[nodiscard]] std::uint64_t next_view() const {
    return chain_.state().height() % chain_.state().params().epoch_blocks == 0 ? 1 : chain_.head().view + 1;
  }
  // The next block comes so many views later.
  void skip_views(std::uint64_t count) { views_skipped_ = count; }
  void next_epoch() {
    const std::uint64_t epoch_blocks = chain_.state().params().epoch_blocks;
    empty_blocks(epoch_blocks - chain_.state().height() % epoch_blocks);
  }
  RecordOutcome stand(OrgId org) { return stand(org, static_cast<std::uint8_t>(150 + org)); }
  [[nodiscard]] const ValidatorKeys& validators() const { return validators_; }
  [[nodiscard]] const Chain& chain() const { return chain_; }
  // Time without blocks.
  void pass(std::uint64_t us) { now_us_ += us; }
  void empty_blocks(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) make({});
  }

  // 10 steps in windows of 2, 6 micro-batches of 10 TFLOP.
  static JobOrder order() {
    JobOrder order;
    order.name = "train";
    order.script_digest = digest_of("script");
    order.definition_digest = digest_of("definition");
    order.semantics_version = 1;
    order.steps = 10;
    order.window_steps = 2;
    order.micro_batches = 6;
    order.flop_per_micro_batch = 10 * flop_per_tflop;
    order.price_max_per_tflop = 10'000;
    order.budget = 100 * micro_per_unc;
    order.verify_rate_ppm = 200'000;
    order.providers_min = 1;
    order.providers_max = 3;
    return order;
  }
  JobId start_job(OrgId owner, const std::vector<Share>& shares, JobOrder body = order()) {
    must(owner, body);
    const JobId job = chain_.state().job_last();
    attempt(owner, job, shares);
    return job;
  }
  void attempt(OrgId owner, JobId job, const std::vector<Share>& shares) {
    const JobEntry& entry = *chain_.state().job(job);
    const auto number = static_cast<std::uint32_t>(entry.attempts.size() + 1);
    must(owner, JobAttempt{job, number, entry.windows_complete, shares, number == 1 ? "" : "requeue"});
    for (const Share& share : shares) must(share.organisation, lease(job, share));
  }
  Lease lease(JobId job, const Share& share) {
    Lease lease;
    lease.job = job;
    lease.attempt = static_cast<std::uint32_t>(chain_.state().job(job)->attempts.size());
    lease.micro_batch_first = share.micro_batch_first;
    lease.micro_batch_count = share.micro_batch_count;
    lease.ranks = 2;
    lease.threads = 1;
    lease.price_per_tflop = 1000;
    lease.price_per_cpu_hour = 100'000;
    lease.bridge_key = key_of(static_cast<std::uint8_t>(100 + share.organisation)).public_key();
    lease.bridge_address = "127.0.0.1:7100";
    return lease;
  }
  // An honest receipt: digests follow from job and window alone, as exact training makes them.
  Receipt receipt(JobId job, OrgId provider, std::uint64_t window) {
    const JobEntry& entry = *chain_.state().job(job);
    const AttemptEntry& attempt = entry.attempts.back();
    Receipt receipt;
    receipt.job = job;
    receipt.attempt = attempt.number;
    receipt.provider = provider;
    receipt.window = window;
    receipt.start_digest = parameters(job, window);
    receipt.end_digest = parameters(job, window + 1);
    receipt.contribution_root = digest_of("contribution " + std::to_string(job) + " " +
                                          std::to_string(provider) + " " + std::to_string(window));
    const auto member = JobEntry::member_of(attempt, provider);
    receipt.work_flop = entry.order.flop_per_micro_batch * entry.steps_of(window) *
                        (member ? attempt.members[*member].share.micro_batch_count : 1);
    receipt.cpu_us = 2'000'000;
    receipt.wall_us = 1'000'000;
    receipt.memory_peak_bytes = 100 << 20;
    return receipt;
  }
  static Digest parameters(JobId job, std::uint64_t window) {
    return digest_of("parameters " + std::to_string(job) + " " + std::to_string(window));
  }
  // Everybody files window and countersigns the others.
  void file_window(JobId job, std::uint64_t window) {
    const AttemptEntry attempt = chain_.state().job(job)->attempts.back();
    for (const MemberEntry& member : attempt.members) {
      must(member.share.organisation, ReceiptBatch::of({receipt(job, member.share.organisation, window)}));
    }
    countersign_window(job, window);
  }
  void countersign_window(JobId job, std::uint64_t window) {
    const AttemptEntry attempt = chain_.state().job(job)->attempts.back();
    if (attempt.members.size() < 2) return;
    const WindowEntry entry = chain_.state().job(job)->windows.at(window);
    for (const MemberEntry& member : attempt.members) {
      Countersignature body{job, attempt.number, {}};
      for (const MemberReceipt& other : entry.receipts) {
        if (other.receipt.provider == member.share.organisation) continue;
        body.receipts.push_back({window, other.receipt.provider, other.digest});
      }
      must(member.share.organisation, body);
    }
  }
  Vote honest_vote(JobId job, std::uint64_t window) {
    const JobEntry& entry = *chain_.state().job(job);
    const WindowEntry& item = entry.windows.at(window);
    Vote vote{job, item.attempt, window, parameters(job, window), parameters(job, window + 1), {}};
    for (const MemberEntry& member : entry.attempt(item.attempt)->members) {
      vote.findings.push_back({member.share.organisation, false, 0, 0});
    }
    return vote;
  }
  std::vector<std::uint64_t> assigned(JobId job) const {
    std::vector<std::uint64_t> windows;
    for (const auto& [number, window] : chain_.state().job(job)->windows) {
      if (window.check == WindowCheck::assigned) windows.push_back(number);
    }
    return windows;
  }
  void vote_all_good(JobId job) {
    for (const std::uint64_t window : assigned(job)) {
      must(chain_.state().job(job)->windows.at(window).verifier, honest_vote(job, window));
    }
  }

  [[nodiscard]] const State& state() const { return chain_.state(); }
  [[nodiscard]] const JobEntry& job(JobId id) const { return *chain_.state().job(id); }
  [[nodiscard]] const std::vector<Bytes>& blocks() const { return blocks_; }
  [[nodiscard]] const KeyPair& key(OrgId org) const { return keys_.at(org - 1); }
  void replace_key(OrgId org, KeyPair key) { keys_.at(org - 1) = std::move(key); }
  [[nodiscard]] std::uint64_t now_us() const { return now_us_; }
  // All records of one type so far, oldest first.
  template <class Body>
  [[nodiscard]] std::vector<Body> all() const {
    std::vector<Body> found;
    for (const Record& record : log_) {
      if (const auto* body = std::get_if<Body>(&record.body)) found.push_back(*body);
    }
    return found;
  }
  // What a replica that imports every block ends with; fails the test when it refuses one.
  [[nodiscard]] Chain replica() const {
    Chain replica;
    for (const Bytes& bytes : blocks_) {
      auto block = decode_block(bytes);
      UFAB_ASSERT(block.ok());
      const auto imported = replica.import(std::move(*block));
      EXPECT_TRUE(imported.ok()) << imported.error().message;
      if (!imported.ok()) break;
    }
    return replica;
  }

 private:
  // Every third block has no certificate of its own where that may be, and the last one of an epoch has a seal.
  AppliedBlock make_by_vote(const std::vector<Record>& records) {
    const consensus::EpochPtr epoch = chain_.epoch();
    const consensus::BlockRef place = chain_.place();
    const consensus::View view = next_view() + std::exchange(views_skipped_, 0);
    Chain ahead = chain_;
    const KeyPair& leader = validators_.at(epoch->validators[epoch->leader(view)].key);
    AppliedBlock made = ahead.make(records, leader, now_us_, Signatures::check, view);
    const std::uint64_t height = made.block.header.height;
    const bool last = height == epoch->last_height;
    made.block.finality = vote_for(made.block, *epoch, place, validators_, last ? 1 : 0);
    if (!last && height % 3 == 0) made.block.finality->certificate = nullptr;
    const auto imported = chain_.import(made.block);
    EXPECT_TRUE(imported.ok()) << imported.error().message;
    return made;
  }

  // By the only validator.
  AppliedBlock make_alone(const std::vector<Record>& records) {
    const auto validator = validators_.find(chain_.state().producer(0).key);
    return chain_.make(records, validator == validators_.end() ? keys_[0] : validator->second, now_us_);
  }

  std::uint64_t now_us_ = 1'800'000'000'000'000;
  std::vector<KeyPair> keys_;
  ValidatorKeys validators_;
  std::uint64_t views_skipped_ = 0;
  Chain chain_;
  std::vector<Bytes> blocks_;
  std::vector<Record> log_;
};

inline constexpr OrgId chain_org = 1, alpha = 2, beta = 3, gamma = 4, delta = 5;

}  // namespace ufab::test
