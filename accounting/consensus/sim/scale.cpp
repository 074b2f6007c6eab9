#include "accounting/consensus/sim/scale.h"

#include <algorithm>

#include "accounting/consensus/sim/scale_cluster.h"

namespace ufab::consensus {

namespace {

constexpr std::uint64_t search_blocks = 16;    // of each run that a search makes
constexpr std::uint64_t payload_from = 8'000;  // bytes per second
constexpr std::uint64_t payload_up_to = 100'000'000;
constexpr std::size_t validators_from = 4;

// In the median. A cluster that finalises nothing takes for ever.
std::uint64_t finality_us(const ScaleReport& report) {
  return report.blocks == 0 ? UINT64_MAX : report.proposal_to_final.p50_us;
}

std::uint64_t finality_us(const ScaleOptions& options) {
  return finality_us(run_scale(options));
}

Cause cause_of(const ScaleOptions& options) {
  const ScaleReport report = run_scale(options);
  ScaleOptions wide = options, quick = options;
  wide.upload_bit_per_s = 0;
  quick.verify_ns = 0;
  const std::uint64_t as_is = finality_us(report), with_wide = finality_us(wide),
                      with_quick = finality_us(quick);
  if (std::min(with_wide, with_quick) > as_is - as_is / 10) return Cause::none;
  if (with_quick < with_wide) return Cause::verification;
  // Of one sender: a proposal is sent by the leader, votes are sent by all.
  return report.bytes_proposals >= report.bytes_votes / options.validators ? Cause::proposals : Cause::votes;
}

template <typename Set>
Bend find_bend(ScaleOptions options, std::uint64_t first, std::uint64_t up_to, const Set& set) {
  Bend bend;
  bend.start_us = finality_us(options);
  std::uint64_t good = 0, bad = 0;
  for (std::uint64_t value = first; bad == 0 && value <= up_to; value = std::min(value * 2, up_to)) {
    set(options, value);
    const ScaleReport report = run_scale(options);
    bend.searched = value;
    if (finality_us(report) / 2 >= bend.start_us) bad = value;
    if (bad == 0) good = value;
    if (value == up_to || (bad == 0 && report.saturated)) break;
  }
  if (bad == 0) return bend;
  while (bad - good > std::max<std::uint64_t>(bad / 8, 1)) {
    const std::uint64_t middle = good + (bad - good) / 2;
    set(options, middle);
    (finality_us(options) / 2 >= bend.start_us ? bad : good) = middle;
  }
  set(options, bad);
  bend.at = bad;
  bend.bent_us = finality_us(options);
  bend.cause = cause_of(options);
  return bend;
}

}  // namespace

ScaleReport run_scale(const ScaleOptions& options) {
  return ScaleCluster(options).run();
}

const char* cause_text(Cause cause) {
  switch (cause) {
    case Cause::none: return "no single resource";
    case Cause::proposals: return "the leader's upload of one copy of the block for each validator";
    case Cause::votes: return "the upload of each validator's votes to every other, n^2 in all";
    case Cause::verification: return "the checking of every validator's signatures by every other";
  }
  return "";
}

const char* remedy_text(Cause cause) {
  switch (cause) {
    case Cause::none: return "nothing that is known here";
    case Cause::proposals:
      return "erasure-coded proposals, of which each validator passes on a part, or blocks that name records "
             "which all have already";
    case Cause::votes: return "votes to the next leaders alone, or a sampled committee that votes for all";
    case Cause::verification: return "aggregated signatures, or batches checked at once";
  }
  return "";
}

Bend bend_by_validators(ScaleOptions options, std::size_t validators_up_to) {
  options.validators = validators_from;
  options.blocks_max = search_blocks;
  return find_bend(options, validators_from * 2, validators_up_to,
                   [](ScaleOptions& o, std::uint64_t value) { o.validators = value; });
}

Bend bend_by_payload(ScaleOptions options) {
  options.payload_per_s = 0;
  options.blocks_max = search_blocks;
  return find_bend(options, payload_from, payload_up_to,
                   [](ScaleOptions& o, std::uint64_t value) { o.payload_per_s = value; });
}

}  // namespace ufab::consensus
