#pragma once

namespace ufab::bench_ledger {

// A fresh replica of a chain of UFAB_BENCH_RECORDS signed records (default a million), a tenth of them orders
// of jobs that wait: from a snapshot of the state, against all blocks one after another.
void catch_up();

}  // namespace ufab::bench_ledger
