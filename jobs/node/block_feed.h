// Blocks on their way from one node's ledger into another's: the method chain.blocks, from both ends.
//
// Request {from, wait_ms}; the answer's body is the blocks from that height on as u32-prefixed blobs
// (Ledger::block()), a few megabytes at a time, its result {head}: how far the chain goes there.
#pragma once

#include <functional>

#include "accounting/ledger.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

// Waits up to wait_ms, five seconds at most, for a block of that height. Thread-safe.
[[nodiscard]] Result<Answer> answer_blocks(const Ledger& ledger, const Request& request);
[[nodiscard]] Request ask_for_blocks(std::uint64_t from, std::uint64_t wait_ms);
// Splits an answer and hands its blocks on, to Ledger::import_blocks() or fill_history(). An answer that ends
// before a certificate is no error: the next one brings it.
[[nodiscard]] Status take_blocks(const Answer& answer,
                                 const std::function<Status(const std::vector<Bytes>&)>& take);

}  // namespace ufab::jobs
