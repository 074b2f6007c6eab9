// A provider that runs its own jobs of ten thousand windows, and files its receipts in signed batches.
#pragma once

#include <functional>

#include "accounting/ledger.h"

namespace ufab::bench_ledger {

inline constexpr std::uint64_t batch_size = 1000;
inline constexpr std::uint64_t windows_per_job = 10'000;

class ReceiptSource {
 public:
  struct Chain {
    Digest id;
    std::function<void(const KeyPair& key, RecordBody body)> file;  // final when it returns
    std::function<std::uint64_t(const PublicKey& key)> next_sequence;
  };
  ReceiptSource(Chain chain, KeyPair provider, OrgId number)
      : chain_(std::move(chain)), provider_(std::move(provider)), number_(number) {}

  void enrol();
  // A whole job's batches, signed; `batches`: what is in them.
  std::vector<Bytes> next_job(std::vector<std::vector<Receipt>>& batches);
  [[nodiscard]] JobId job() const { return job_; }
  [[nodiscard]] const KeyPair& provider() const { return provider_; }

 private:
  void start_job();
  Chain chain_;
  KeyPair provider_;
  OrgId number_ = 0;
  JobId job_ = 0;
  Digest end_ = sha256("start");
};

}  // namespace ufab::bench_ledger
