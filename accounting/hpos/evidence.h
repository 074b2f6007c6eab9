// The consensus' evidence as a record of the ledger, and back. A record names no chain: it is about its own.
// Thread-safe: no state.
#pragma once

#include "accounting/consensus/messages.h"
#include "accounting/records/validators.h"

namespace ufab::hpos {

[[nodiscard]] EvidenceRecord evidence_record(const consensus::Evidence& evidence);
[[nodiscard]] consensus::Evidence evidence_of(const Digest& chain_id, const EvidenceRecord& record);

}  // namespace ufab::hpos
