#include "accounting/consensus/sim/load.h"

#include "accounting/chain/block.h"
#include "fabric/base/assert.h"

namespace ufab::consensus {

namespace {

constexpr std::uint64_t gang = 4;
constexpr std::uint64_t windows_per_epoch = 2;
constexpr std::uint64_t verified_one_in = 20;  // windows
constexpr std::uint64_t jobs_per_hour = 1;     // a provider
constexpr std::uint64_t ms_per_hour = 3'600'000;
constexpr std::size_t length_size = 4;  // before each record of a block

LoadPart part(RecordBody body, std::uint64_t per_hour) {
  Record record;
  record.body = std::move(body);
  const RecordType type = record.type();
  return {record_type_name(type), encode_record(record).size() + length_size, per_hour,
          !record_type_derived(type)};
}

// Texts as long as names usually are; everything else has a fixed size.
UsageImport usage_import_of_a_run() {
  UsageImport import;
  import.usage.cluster = "cluster-of-org";
  import.usage.state = "CD";
  import.usage.user = "ufab-job";
  import.usage.partition = "compute";
  return import;
}

JobOrder order_of_a_job() {
  JobOrder order;
  order.name = "train-gpt2-small";
  order.idempotency_key = "0123456789abcdef0123456789abcdef";
  return order;
}

Lease lease_of_a_share() {
  Lease lease;
  lease.bridge_address = "node17.cluster.example.org:7411";
  return lease;
}

}  // namespace

std::uint64_t Load::records_per_hour() const {
  std::uint64_t sum = 0;
  for (const LoadPart& p : parts) sum += p.per_hour;
  return sum;
}

std::uint64_t Load::signed_per_hour() const {
  std::uint64_t sum = 0;
  for (const LoadPart& p : parts) sum += p.is_signed ? p.per_hour : 0;
  return sum;
}

std::uint64_t Load::bytes_per_hour() const {
  std::uint64_t sum = 0;
  for (const LoadPart& p : parts) sum += p.size * p.per_hour;
  return sum;
}

Load load_of(std::uint64_t providers) {
  UFAB_ASSERT(providers <= providers_max);
  const ChainParams params;
  const std::uint64_t epochs_per_hour = ms_per_hour / (params.epoch_blocks * params.block_interval_ms);
  const std::uint64_t batches = providers * epochs_per_hour;
  const std::uint64_t checked = batches * windows_per_epoch / gang / verified_one_in;
  const std::uint64_t leases = providers * jobs_per_hour, jobs = leases / gang;
  ReceiptBatch batch;
  batch.receipts.resize(windows_per_epoch);
  Countersignature countersignature;
  countersignature.receipts.resize(windows_per_epoch);
  ufab::Vote vote;
  vote.findings.resize(gang);
  Verdict verdict;
  verdict.findings.resize(gang);
  JobAttempt attempt;
  attempt.shares.resize(gang);
  Validation validation;
  validation.windows.resize(windows_per_epoch * epochs_per_hour / verified_one_in);
  Settlement settlement;
  settlement.payments.resize(gang);
  Load load;
  load.block_size = encode_block(Block{}).size();
  load.parts = {part(batch, batches),
                part(countersignature, batches),
                part(Reward{}, batches),
                part(vote, checked),
                part(verdict, checked),
                part(Score{}, checked),
                part(lease_of_a_share(), leases),
                part(usage_import_of_a_run(), leases),
                part(order_of_a_job(), jobs),
                part(attempt, jobs),
                part(validation, jobs),
                part(settlement, jobs)};
  return load;
}

}  // namespace ufab::consensus
