#include "accounting/replica/sim/founding.h"

#include <fmt/format.h>

#include "accounting/hpos/sample.h"
#include "accounting/hpos/validator_key.h"

namespace ufab::sim {

KeyPair key_from(std::uint64_t seed, const char* what, std::size_t number) {
  return KeyPair::from_seed(sha256(fmt::format("{} {} {}", what, seed, number)).bytes);
}

Founding found(const FoundingOptions& options) {
  UFAB_ASSERT(options.validators > 1 && options.organisations >= options.validators);
  Founding made;
  for (std::size_t i = 0; i < options.organisations; ++i) {
    made.owners.push_back(key_from(options.seed, "owner", i));
    if (i < options.validators) made.validators.push_back(key_from(options.seed, "validator", i));
  }
  Genesis genesis;
  genesis.chain_name = "simulated";
  genesis.organisation = "org1";
  if (!options.endpoints.empty()) genesis.endpoint = options.endpoints[0];
  genesis.params = options.params;
  genesis.params.epoch_blocks = options.epoch_blocks;
  genesis.params.block_interval_ms = options.block_interval_ms;
  genesis.params.validators_min = options.validators;
  genesis.params.weight_cap_ppm = 330'000;
  Chain chain;
  const auto first = Chain::make_genesis(chain, made.owners[0], genesis, founding_time_us);
  UFAB_ASSERT(first.ok());
  made.log.push_back(encode_block(first->block));
  std::uint64_t time_us = founding_time_us;
  const auto block = [&](const std::vector<Record>& records) {
    time_us += options.block_interval_ms * 1000;
    const AppliedBlock applied = chain.make(records, made.owners[0], time_us);
    for (const RecordOutcome& outcome : applied.outcomes) UFAB_ASSERT(outcome.status.ok());
    made.log.push_back(encode_block(applied.block));
  };
  const auto sign = [&](std::size_t org, std::uint64_t sequence, RecordBody body) {
    return sign_record(chain.state().chain_id(), made.owners[org], sequence, time_us, std::move(body));
  };
  std::vector<Record> registrations, gifts, pledges;
  for (std::size_t i = 1; i < options.organisations; ++i)
    registrations.push_back(sign(
        i, 1,
        Organisation{fmt::format("org{}", i + 1), options.endpoints.empty() ? "" : options.endpoints[i]}));
  block(registrations);
  for (std::size_t i = 1; i < options.organisations; ++i) {
    gifts.push_back(sign(0, i + 1, Transfer{static_cast<OrgId>(i + 1), 100'000 * micro_per_unc, ""}));
  }
  block(gifts);
  std::uint64_t founder_next = options.organisations + 1;
  for (std::size_t i = 0; i < options.validators; ++i) {
    std::uint64_t& next = founder_next;
    const std::uint64_t sequence = i == 0 ? next : 2;
    const std::uint64_t drawn = hpos::draw(sha256(fmt::format("pledge {}", options.seed)), i) % 3000;
    const MicroUnc pledge = (1000 + (options.equal_pledges ? 0 : drawn)) * micro_per_unc;
    pledges.push_back(sign(i, sequence, Stake{pledge}));
    pledges.push_back(
        sign(i, sequence + 1,
             hpos::make_stand(chain.state().chain_id(), made.owners[i].public_key(), made.validators[i])));
  }
  block(pledges);
  while (!chain.state().by_vote()) block({});
  return made;
}

}  // namespace ufab::sim
