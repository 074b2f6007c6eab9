#include "accounting/hpos/epoch_seed.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "fabric/base/codec.h"

namespace ufab::hpos {

Bytes epoch_alpha(const Digest& chain_id, std::uint64_t epoch, const Digest& previous_seed) {
  Writer writer;
  writer.raw(as_bytes("ufab epoch alpha 1\n"));
  writer.raw(chain_id.view());
  writer.u64(epoch);
  writer.raw(previous_seed.view());
  return writer.take();
}

Result<Digest> epoch_seed(const Digest& previous_seed, std::uint64_t epoch,
                          std::span<const SeedShare> shares) {
  std::vector<SeedShare> sorted(shares.begin(), shares.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const SeedShare& a, const SeedShare& b) { return a.validator < b.validator; });
  Writer writer;
  writer.raw(as_bytes("ufab epoch seed 1\n"));
  writer.raw(previous_seed.view());
  writer.u64(epoch);
  writer.u32(static_cast<std::uint32_t>(sorted.size()));
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (i > 0 && sorted[i].validator == sorted[i - 1].validator)
      return Error{ErrorCode::invalid,
                   fmt::format("validator {} has two shares in one epoch seed", sorted[i].validator)};
    writer.u32(sorted[i].validator);
    writer.raw(sorted[i].output.view());
  }
  return sha256(writer.bytes());
}

}  // namespace ufab::hpos
