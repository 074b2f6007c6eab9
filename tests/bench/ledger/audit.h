#pragma once

#include <string>

namespace ufab::bench_ledger {

// Makes a chain in the folder, which is new, and measures its audit.
void audit_from_zero(const std::string& folder);

}  // namespace ufab::bench_ledger
