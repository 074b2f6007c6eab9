// What the parts of the ledger's bench share: the end after an error, keys, and the shape of their chains.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "fabric/base/digest.h"
#include "fabric/base/sign.h"

namespace ufab::bench_ledger {

inline constexpr std::size_t block_records = 1000;
inline constexpr std::size_t organisations = 100;

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "bench ledger: %s\n", what.c_str());
  std::exit(1);
}

inline KeyPair key_of(std::size_t number) {
  return KeyPair::from_seed(sha256("bench " + std::to_string(number)).bytes);
}

}  // namespace ufab::bench_ledger
