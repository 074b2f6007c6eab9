#include <fmt/format.h>

#include "accounting/state/transition.h"

namespace ufab {

// Whether the signer held a lease of that attempt, of a job in the state or of one that left it not long ago.
Status Transition::check_leased(const UsageSlot& slot) const {
  if (const JobEntry* job = s_.job(slot.job); job != nullptr) {
    const AttemptEntry* attempt = job->attempt(slot.attempt);
    if (attempt == nullptr) {
      return Error{ErrorCode::not_found, fmt::format("the job has no attempt {}", slot.attempt)};
    }
    const auto member = JobEntry::member_of(*attempt, slot.provider);
    if (member && attempt->members[*member].leased) return {};
  } else if (s_.usage_.leased_in_the_past(slot)) {
    return {};
  } else if (!s_.usage_.remembers_job(slot.job)) {
    if (slot.job == 0 || slot.job > s_.job_last_) return Error{ErrorCode::not_found, "there is no such job"};
    return Error{ErrorCode::conflict,
                 fmt::format("the job settled more than {} blocks ago, or nobody leased it",
                             s_.params_.job_retention_blocks * (UsageImports::late_factor + 1))};
  }
  return Error{ErrorCode::denied, fmt::format("it had no lease for attempt {}", slot.attempt)};
}

Status Transition::on(const UsageImport& body, OrgId org) {
  const auto wrong = [&](const Error& why) {
    return why.within(fmt::format("usage import of {} for job {}", name_of(org), body.job));
  };
  const UsageSlot slot{body.job, body.attempt, org};
  if (const Status leased = check_leased(slot); !leased.ok()) return wrong(leased.error());
  if (const Status values = check_usage_values(body.usage); !values.ok()) return wrong(values.error());
  if (s_.usage_.find(slot) != nullptr) {
    return wrong(
        {ErrorCode::conflict, fmt::format("there is one for attempt {} already: a wrong one is corrected, "
                                          "not filed again",
                                          body.attempt)});
  }
  UsageImportEntry entry{record_id(*record_), body.usage.cluster, body.usage.external_id,
                         body.usage.submit_us};
  if (const UsageSlot* other = s_.usage_.slot_of_run(org, entry); other != nullptr) {
    return wrong(
        {ErrorCode::conflict, fmt::format("run {} of {} was imported for job {} attempt {} already",
                                          entry.external_id, entry.cluster, other->job, other->attempt)});
  }
  s_.usage_.file(slot, std::move(entry));
  touch_usage(slot);
  return {};
}

Status Transition::on(const Correction& body, OrgId org) {
  if (body.reason.empty()) return Error{ErrorCode::invalid, "correction: the reason is empty"};
  if (body.usage.empty()) return {};
  const UsageValues& usage = body.usage[0];
  if (const Status values = check_usage_values(usage); !values.ok())
    return values.error().within("correction");
  const UsageSlot* slot = s_.usage_.slot_of(body.record);
  if (slot == nullptr) return {};  // an import from long ago: readers of the whole log judge it (corrects())
  if (slot->provider != org) {
    return Error{ErrorCode::denied,
                 fmt::format("correction: the import was filed by {}", name_of(slot->provider))};
  }
  const UsageImportEntry& entry = *s_.usage_.find(*slot);
  if (usage.cluster != entry.cluster || usage.external_id != entry.external_id ||
      usage.submit_us != entry.submit_us) {
    return Error{
        ErrorCode::invalid,
        fmt::format("correction: the import is about run {} of {}; another run cannot take its place",
                    entry.external_id, entry.cluster)};
  }
  return {};
}

void Transition::touch_usage(const UsageSlot& slot) {
  touch(Slot::usage_import, slot.job, std::uint64_t{slot.attempt} << 32 | slot.provider);
}

// Jobs that are forgotten per block; the rest waits for the next one, so that a block stays small.
void Transition::forget_usage() {
  constexpr std::size_t jobs_per_block = 256;
  const UsageImports::Forgotten gone = s_.usage_.forget(s_.context_.height, jobs_per_block);
  for (const UsageSlot& slot : gone.imports) touch_usage(slot);
  for (const JobId job : gone.jobs) touch(Slot::past_job, job);
}

}  // namespace ufab
