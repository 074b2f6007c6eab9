// Reads a ledger's log from its folder, checking everything, and hands out block after block. Private to
// audit.
#pragma once

#include <functional>

#include "accounting/chain/chain.h"
#include "accounting/log/segment_log.h"

namespace ufab::audit {

// `visit` sees each block after it has been applied; `chain` ends as the state at the head. The error names
// the first bad record: "block H record I (TYPE): …".
using Visit = std::function<Status(const AppliedBlock&)>;
[[nodiscard]] Status walk(const std::string& folder, Chain& chain, SegmentLog::Scan& scan,
                          const Visit& visit);

}  // namespace ufab::audit
