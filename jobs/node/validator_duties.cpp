#include "jobs/node/validator_duties.h"

#include "accounting/hpos/evidence.h"
#include "accounting/state/duties.h"

namespace ufab::jobs {

namespace {
constexpr auto share_retry = std::chrono::seconds(2);
}

void ValidatorDuties::file(RecordBody body, const std::string& what) {
  const auto filed = node_.chain->submit(std::move(body));
  // Somebody else may have filed the same evidence, and a share may be too late by now.
  if (!filed.ok() && filed.error().code != ErrorCode::conflict)
    node_.log(what + " could not be filed: " + filed.error().message);
}

void ValidatorDuties::tick() {
  for (const consensus::Evidence& evidence : node_.chain->take_evidence())
    file(hpos::evidence_record(evidence), "evidence against a validator");
  const auto now = std::chrono::steady_clock::now();
  if (now < next_share_) return;
  const std::uint64_t epoch = node_.chain->read([](const State& state) { return state.epoch(); });
  if (epoch == shared_epoch_) return;
  const auto key = node_.chain->seat_key();
  if (!key.ok() || !*key) return;
  const auto share = node_.chain->read([&](const State& state) { return seed_share_due(state, **key); });
  if (!share) return;
  next_share_ = now + share_retry;
  file(*share, "the validator's share of the epoch's seed");
  const bool filed = node_.chain->read([&](const State& state) { return !seed_share_due(state, **key); });
  if (filed) shared_epoch_ = epoch;
}

}  // namespace ufab::jobs
