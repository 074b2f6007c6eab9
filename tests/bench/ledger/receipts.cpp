#include "tests/bench/ledger/receipts.h"

namespace ufab::bench_ledger {

namespace {

constexpr std::uint64_t flop_per_window = flop_per_tflop;

}  // namespace

void ReceiptSource::enrol() {
  chain_.file(provider_, Stake{1000 * micro_per_unc});
  chain_.file(provider_, ProviderEnrol{{"cluster", 1, 1, 0, 1, 1, 1}});
}

void ReceiptSource::start_job() {
  JobOrder order;
  order.name = "bench";
  order.script_digest = order.definition_digest = sha256("bench");
  order.steps = windows_per_job;
  order.window_steps = 1;
  order.micro_batches = 1;
  order.flop_per_micro_batch = flop_per_window;
  order.price_max_per_tflop = 1;
  order.budget = 2 * windows_per_job;
  chain_.file(provider_, order);
  ++job_;
  chain_.file(provider_, JobAttempt{job_, 1, 0, {{number_, 0, 1}}, ""});
  Lease lease;
  lease.job = job_;
  lease.attempt = 1;
  lease.micro_batch_count = 1;
  lease.ranks = lease.threads = 1;
  lease.price_per_tflop = 1;
  lease.bridge_key = provider_.public_key();
  lease.bridge_address = "127.0.0.1:1";
  chain_.file(provider_, lease);
}

std::vector<Bytes> ReceiptSource::next_job(std::vector<std::vector<Receipt>>& batches) {
  start_job();
  std::vector<Bytes> records;
  batches.clear();
  const std::uint64_t sequence = chain_.next_sequence(provider_.public_key());
  for (std::uint64_t window = 0; window < windows_per_job;) {
    std::vector<Receipt>& receipts = batches.emplace_back();
    for (std::uint64_t i = 0; i < batch_size; ++i, ++window) {
      Receipt receipt;
      receipt.job = job_;
      receipt.attempt = 1;
      receipt.provider = number_;
      receipt.window = window;
      receipt.start_digest = end_;
      Sha256 hash;
      receipt.end_digest = end_ = hash.update_u64(job_).update_u64(window).finish();
      receipt.contribution_root = sha256(ByteView(end_.bytes));
      receipt.work_flop = flop_per_window;
      receipt.cpu_us = receipt.wall_us = 1'000'000;
      receipt.memory_peak_bytes = 1 << 30;
      receipts.push_back(receipt);
    }
    records.push_back(encode_record(
        sign_record(chain_.id, provider_, sequence + records.size(), 1, ReceiptBatch::of(receipts))));
  }
  return records;
}

}  // namespace ufab::bench_ledger
