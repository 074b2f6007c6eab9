// Four validators in one process, each with its own ledger on disk and its own TLS port on loopback, as four
// nodes would be: how fast records become final, and what happens when the leader dies.
#pragma once

#include <string>

namespace ufab::bench {

void validators(const std::string& folder);

}  // namespace ufab::bench
