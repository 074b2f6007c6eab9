// Jobs and organisations as the command line shows them (schemas ufab.job/1, ufab.account/1).
#pragma once

#include <boost/json/object.hpp>

#include "jobs/node/context.h"
#include "jobs/node/gateway.h"

namespace ufab::jobs {

// State, result and reason apart, with Slurm's two-letter code. `whole` adds attempts, members and windows.
[[nodiscard]] boost::json::object job_to_json(const NodeContext& node, const Gateway& gateway,
                                              const JobView& view, bool whole);
[[nodiscard]] boost::json::object organisation_to_json(const State& state, const OrgEntry& organisation);

}  // namespace ufab::jobs
