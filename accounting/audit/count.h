// Walks over a log and counts what an audit reports. Private to audit.
#pragma once

#include "accounting/audit/audit.h"
#include "accounting/audit/walk.h"

namespace ufab::audit {

// walk() that also checks the chain's id, if one is expected, and the money after each block.
[[nodiscard]] Status count(const std::string& folder, const std::optional<Digest>& chain_id, Chain& chain,
                           SegmentLog::Scan& scan, AuditSummary& summary, const Visit& visit);

}  // namespace ufab::audit
