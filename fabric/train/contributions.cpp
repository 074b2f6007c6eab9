#include "fabric/train/contributions.h"

#include <fmt/format.h>

#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "fabric/base/merkle.h"
#include "fabric/train/state.h"

namespace ufab {

namespace {

constexpr std::string_view kMagic = "ufab.contributions/1";

void encode_step(Writer& writer, const StepContribution& step) {
  writer.raw(step.sum_digest.view());
  for (const std::uint64_t fingerprint : step.fingerprints) writer.u64(fingerprint);
}

}  // namespace

Digest Contributions::root() const {
  std::vector<Digest> leaves;
  for (const StepContribution& step : steps) {
    Writer leaf;
    encode_step(leaf, step);
    leaves.push_back(merkle::leaf_hash(leaf.bytes()));
  }
  return merkle::root(leaves);
}

Bytes encode_contributions(const Contributions& contributions) {
  Writer writer;
  writer.text(kMagic);
  writer.u32(contributions.window);
  writer.u64(contributions.first_step);
  writer.u32(contributions.first_micro_batch);
  writer.u32(contributions.micro_batches);
  writer.u32(static_cast<std::uint32_t>(contributions.steps.size()));
  for (const StepContribution& step : contributions.steps) {
    UFAB_ASSERT(step.fingerprints.size() == contributions.micro_batches);
    encode_step(writer, step);
  }
  return writer.take();
}

Result<Contributions> decode_contributions(ByteView bytes) {
  Reader reader(bytes);
  if (reader.text(64) != kMagic) reader.fail("not a contributions file of version 1");
  Contributions contributions;
  contributions.window = reader.u32();
  contributions.first_step = reader.u64();
  contributions.first_micro_batch = reader.u32();
  contributions.micro_batches = reader.u32();
  if (contributions.micro_batches > 65536) reader.fail("too many micro-batches");
  const std::size_t step_size = 32 + 8 * std::size_t{contributions.micro_batches};
  const std::uint32_t steps = reader.count(1'000'000, step_size);
  for (std::uint32_t i = 0; i < steps && !reader.failed(); ++i) {
    StepContribution step;
    const ByteView digest = reader.raw(32);
    if (digest.size() == 32) step.sum_digest = Digest::from(digest);
    for (std::uint32_t j = 0; j < contributions.micro_batches; ++j) step.fingerprints.push_back(reader.u64());
    contributions.steps.push_back(std::move(step));
  }
  UFAB_TRY(reader.finish("contributions"));
  return contributions;
}

std::string contributions_path(const std::string& folder, std::uint64_t window) {
  return fmt::format("{}/contributions/window-{:06}.bin", folder, window);
}

Result<Contributions> load_contributions(const std::string& path) {
  UFAB_ASSIGN(const Bytes bytes, read_file(path, kContributionsMax));
  auto contributions = decode_contributions(bytes);
  if (!contributions) return contributions.error().within(path);
  return contributions;
}

Digest sum_digest(std::span<const Digest> leaves, std::span<const std::uint64_t> peaks) {
  Writer writer;
  writer.text("ufab.sum/2");
  writer.raw(tree_digest("ufab.sum.values/2", leaves).view());
  writer.u32(static_cast<std::uint32_t>(peaks.size()));
  for (const std::uint64_t peak : peaks) writer.u64(peak);
  return sha256(writer.bytes());
}

}  // namespace ufab
