// What an auditor on another machine needs, in one folder: made here, checked here.
#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "accounting/audit/audit.h"
#include "accounting/audit/collect.h"
#include "accounting/audit/count.h"
#include "accounting/audit/light.h"
#include "fabric/base/file.h"

namespace ufab {

namespace {

constexpr std::uint64_t segment_size_max = 64U << 20;

std::string read_me(const AuditSummary& summary) {
  return fmt::format(
      "A bundle of the UtilityFabric chain \"{}\", for an audit on any machine, without a node or a "
      "network.\n\n"
      "  chain id  {}\n  head      block {} {}\n\n"
      "log/        all blocks: records, signatures, votes, certificates\n"
      "checkpoint  the chain's head and its validators, provable from the chain id alone\n\n"
      "To check all of it:\n\n"
      "  ufab audit verify --bundle FOLDER --chain ID\n\n"
      "FOLDER is where this file lies. Take ID from somebody you trust, not from here: who made this folder "
      "could "
      "have\nwritten anything. The command reads every block, checks every signature, vote and certificate, "
      "derives "
      "every\nrule's outcome anew, and names the first thing that is wrong; exit status 0 says that nothing "
      "is.\n"
      "The checkpoint alone, in a moment: ufab audit check FOLDER/checkpoint --chain ID\n",
      summary.chain_name, summary.chain_id.str(), summary.head_height, summary.head_hash.str());
}

// That each block of the checkpoint is the log's.
class CrossCheck {
 public:
  explicit CrossCheck(const ChainCheckpoint& checkpoint) {
    for (std::size_t i = 0; i < checkpoint.links.size(); ++i)
      note(checkpoint.links[i].block, fmt::format("link {}", i));
    for (const BlockHeader& header : checkpoint.trail) note({{header}, std::nullopt, {}}, "trail");
    note(checkpoint.head, "head");
    head_height_ = checkpoint.head.block().height;
  }
  Status visit(const AppliedBlock& applied, const Chain& chain) {
    const auto [from, to] = expected_.equal_range(applied.block.header.height);
    for (auto at = from; at != to; ++at) {
      if (at->second.first == chain.head_hash()) continue;
      return Error{ErrorCode::corrupt, fmt::format("checkpoint: {}: its block {} is not the log's",
                                                   at->second.second, at->first)};
    }
    return {};
  }
  Status finish(const Chain& chain, const LightChain& light) const {
    const std::uint64_t height = chain.head().height;
    if (height < head_height_) {
      return Error{ErrorCode::corrupt,
                   fmt::format("block {} record 0 (missing): the log ends at block {}, but the "
                               "checkpoint's head is block {}",
                               height + 1, height, head_height_)};
    }
    if (height > head_height_) {
      return Error{
          ErrorCode::corrupt,
          fmt::format("checkpoint: its head is block {}, the log ends at block {}", head_height_, height)};
    }
    if (light.validators() != chain.state().seats())
      return Error{ErrorCode::corrupt, "checkpoint: its validators are not those in office"};
    return {};
  }

 private:
  void note(const FinalHeader& block, const std::string& part) {
    for (const BlockHeader& header : block.headers)
      expected_.emplace(header.height, std::pair(block_hash(header), part));
  }
  std::multimap<std::uint64_t, std::pair<Digest, std::string>> expected_;
  std::uint64_t head_height_ = 0;
};

Status write_bundle(const std::string& folder, const std::string& to, AuditSummary& summary) {
  UFAB_TRY(make_folders(to));
  UFAB_ASSIGN(SegmentLog log, SegmentLog::open(to + "/log", segment_size_max, block_size_max,
                                               [](std::uint64_t, ByteView) { return Status(); }));
  Chain chain;
  SegmentLog::Scan scan;
  audit::Collector collector(chain);
  UFAB_TRY(
      audit::count(folder, std::nullopt, chain, scan, summary, [&](const AppliedBlock& applied) -> Status {
        UFAB_TRY(log.put(encode_block(applied.block)));
        return collector.visit(applied);
      }));
  UFAB_TRY(log.sync());
  UFAB_ASSIGN(const ChainCheckpoint checkpoint, collector.finish());
  UFAB_TRY(write_file_atomic(to + "/checkpoint", encode_checkpoint(checkpoint)));
  return write_file_atomic(to + "/README.txt", as_bytes(read_me(summary)));
}

}  // namespace

Result<AuditSummary> audit_bundle(const std::string& folder, const std::string& to) {
  if (file_exists(to)) return Error{ErrorCode::conflict, fmt::format("{}: it exists already", to)};
  const std::string part = to + ".part";
  AuditSummary summary;
  const Status written = file_exists(part) ? Status(Error{ErrorCode::conflict, part + ": it exists already"})
                                           : write_bundle(folder, part, summary);
  UFAB_TRY(written);
  UFAB_TRY(rename_durable(part, to));
  return summary;
}

Result<AuditSummary> audit_verify_bundle(const std::string& folder, std::optional<Digest> chain_id) {
  UFAB_ASSIGN(const Bytes bytes, read_file(folder + "/checkpoint", checkpoint_size_max));
  UFAB_ASSIGN(const ChainCheckpoint checkpoint, decode_checkpoint(bytes));
  const auto light = LightChain::follow(checkpoint);
  if (!light.ok()) return light.error().within("checkpoint");
  AuditSummary summary;
  Chain chain;
  SegmentLog::Scan scan;
  CrossCheck cross(checkpoint);
  UFAB_TRY(audit::count(folder, chain_id, chain, scan, summary,
                        [&](const AppliedBlock& applied) { return cross.visit(applied, chain); }));
  UFAB_TRY(cross.finish(chain, *light));
  summary.checkpoint_checked = true;
  return summary;
}

}  // namespace ufab
