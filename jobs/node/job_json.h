// Jobs and organisations as the command line shows them (schemas ufab.job/1, ufab.account/1).
#pragma once

#include <boost/json/object.hpp>

#include "jobs/node/context.h"
#include "jobs/node/gateway.h"

namespace ufab::jobs {

// State, result and reason apart, with Slurm's two-letter code. `whole` adds attempts, members and windows.
[[nodiscard]] boost::json::object job_to_json(const NodeContext& node, const Gateway& gateway,
                                              const JobView& view, bool whole);
// The same of a job that has no attempt yet, as text: there may be 100,000 of them.
[[nodiscard]] std::string ordered_job_to_text(const Gateway& gateway, const OrderedJob& job);
// One line of `ufab queue`, fields separated by "|", the reason last, for it may contain anything printable:
// JOBID|NAME|OWNER|STATE|CODE|STEP|STEPS|PROVIDERS|REASON
[[nodiscard]] std::string ordered_job_to_row(const Gateway& gateway, const OrderedJob& job);
[[nodiscard]] std::string job_to_row(const NodeContext& node, const Gateway& gateway, const JobView& view);
[[nodiscard]] boost::json::object organisation_to_json(const State& state, const OrgEntry& organisation);

}  // namespace ufab::jobs
