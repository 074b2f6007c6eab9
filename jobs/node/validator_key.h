// The validator's key of a home, and what `ufab validator` needs from the node. Thread-safe.
//
// The key is in validator.key (home.h). A key that the chain has seen is never offered again: it is set aside
// as validator.key.NAME, because a seat in office keeps it until its epoch ends, and a fresh one is made. A
// key whose vote log is lost must never vote again: `new_key` sets it aside as validator.key.NAME.retired,
// which no node loads.
#pragma once

#include <boost/json/object.hpp>

#include "jobs/node/context.h"

namespace ufab::jobs {

// The record by which this home's validator stands, signed by nobody yet. Errors: conflict while the
// organisation stands with the key of this home already, unless `new_key`.
[[nodiscard]] Result<ValidatorStand> offer_validator(const NodeContext& node, bool new_key);

// The body of a record of the kind validator_stand {new_key} or validator_leave {}.
[[nodiscard]] Result<RecordBody> validator_record(const NodeContext& node, const std::string& kind,
                                                  const boost::json::object& params);

// The object ufab.validator/1: this organisation's candidacy and seat, and all seats in office.
[[nodiscard]] Result<Answer> validator_status(const NodeContext& node);

}  // namespace ufab::jobs
