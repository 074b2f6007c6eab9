#include "jobs/node/capacity_watch.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "jobs/node/slurm_capacity.h"

namespace ufab::jobs {

namespace {

std::string size_text(const OfferSize& size) {
  return std::to_string(size.slots) + " processors and " + std::to_string(size.memory_mib) + " MiB";
}

}  // namespace

CapacityMove capacity_move(ProviderStatus status, const OfferSize& offered, const OfferSize& full,
                           bool own_drain, const OfferSize& there) {
  using Kind = CapacityMove::Kind;
  if (status == ProviderStatus::left) return {};
  if (there.slots == 0 || there.memory_mib == 0) {
    if (status != ProviderStatus::active) return {};
    return {Kind::drain, {}, "its machines have " + size_text(there) + " left"};
  }
  const OfferSize target{std::min(full.slots, there.slots), std::min(full.memory_mib, there.memory_mib)};
  if (target != offered) {
    return {Kind::update, target,
            "its machines have " + size_text(there) + ", " + size_text(offered) + " were offered"};
  }
  if (status == ProviderStatus::draining && own_drain) return {Kind::resume, {}, "its machines are back"};
  return {};
}

void CapacityWatch::tick() {
  using namespace std::chrono_literals;
  if (answer_.valid()) {
    if (answer_.wait_for(0s) != std::future_status::ready) return;
    const Result<OfferSize> there = answer_.get();
    const Status status = there.ok() ? act(*there) : Status(there.error());
    const std::string line = status.ok() ? std::string() : status.error().message;
    if (std::exchange(said_, line) != line && !line.empty()) node_.log("capacity: " + line);
    return;
  }
  const auto& provider = node_.config.provider;
  if (!provider || provider->capacity_check_s == 0) return;
  if (Clock::now() - asked_ < std::chrono::seconds(provider->capacity_check_s)) return;
  asked_ = Clock::now();
  answer_ = std::async(std::launch::async, ask_, *provider);
}

Status CapacityWatch::act(const OfferSize& there) {
  const OrgId self = node_.chain->self();
  if (self == 0) return {};
  const auto provider =
      node_.chain->read([&](const State& state) { return state.organisation(self)->provider; });
  if (!provider) return {};
  ProviderOffer offer = provider->offer;
  const OfferSize offered{std::uint64_t{offer.ranks} * offer.threads, offer.memory_bytes >> 20};
  if (full_ && offered != set_) full_.reset();  // the operator has enrolled anew
  if (provider->status == ProviderStatus::active) own_drain_ = false;
  const CapacityMove move =
      capacity_move(provider->status, offered, full_.value_or(offered), own_drain_, there);
  RecordBody record;
  switch (move.kind) {
    case CapacityMove::Kind::nothing: return {};
    case CapacityMove::Kind::update:
      // An offer is made of whole ranks.
      offer.ranks = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, move.size.slots / offer.threads));
      offer.memory_bytes = move.size.memory_mib << 20;
      record = ProviderUpdate{offer};
      break;
    case CapacityMove::Kind::drain: record = ProviderActionRecord{ProviderAction::drain, move.reason}; break;
    case CapacityMove::Kind::resume:
      record = ProviderActionRecord{ProviderAction::resume, move.reason};
      break;
  }
  const auto submitted = node_.chain->submit(std::move(record));
  if (!submitted) return submitted.error();
  node_.log("capacity: " + move.reason + "; the offer says so now");
  own_drain_ = move.kind == CapacityMove::Kind::drain;
  if (move.kind == CapacityMove::Kind::update) {
    if (!full_) full_ = offered;
    set_ = {std::uint64_t{offer.ranks} * offer.threads, offer.memory_bytes >> 20};
    if (set_ == *full_) full_.reset();
  }
  return {};
}

CapacityWatch::Ask ask_machines() {
  const std::uint32_t processors_at_start = std::max(1U, std::thread::hardware_concurrency());
  return [processors_at_start](const ProviderConfig& provider) -> Result<OfferSize> {
    if (provider.batch == "slurm") {
      const auto capacity = slurm_capacity(provider.batch_settings);
      if (capacity.ok()) return OfferSize{capacity->processors, capacity->memory_mib};
      if (capacity.error().code == ErrorCode::not_found) return OfferSize{};  // it answers: no node is up
      return capacity.error();
    }
    if (provider.batch != "local") {
      return Error{ErrorCode::conflict, "batch system " + provider.batch + " cannot be asked what it has"};
    }
    const auto pages = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PHYS_PAGES)));
    const auto page = static_cast<std::uint64_t>(std::max(0L, ::sysconf(_SC_PAGESIZE)));
    const bool shares = provider.slots > processors_at_start;
    return OfferSize{shares ? provider_slots_max : std::max(1U, std::thread::hardware_concurrency()),
                     pages * page >> 20};
  };
}

}  // namespace ufab::jobs
