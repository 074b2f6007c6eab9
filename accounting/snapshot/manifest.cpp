#include "accounting/snapshot/manifest.h"

#include <fmt/format.h>

#include <filesystem>

#include "accounting/audit/light.h"
#include "fabric/base/file.h"

namespace ufab {

namespace {

Error wrong(const std::string& why) {
  return {ErrorCode::corrupt, "snapshot: " + why};
}

std::string chunk_path(const std::string& folder, std::uint32_t number) {
  return fmt::format("{}/{}", folder, number);
}

}  // namespace

Bytes encode_manifest(const SnapshotManifest& manifest) {
  Writer writer;
  writer.blob(encode_checkpoint(manifest.checkpoint));
  writer.blob(encode_snapshot_index(manifest.index));
  return writer.take();
}

Result<SnapshotManifest> decode_manifest(ByteView bytes) {
  Reader reader(bytes);
  const ByteView checkpoint = reader.blob(checkpoint_size_max);
  const ByteView index = reader.blob(1U << 20);
  UFAB_TRY(reader.finish("a snapshot's manifest"));
  SnapshotManifest manifest;
  UFAB_ASSIGN(manifest.checkpoint, decode_checkpoint(checkpoint));
  UFAB_ASSIGN(manifest.index, decode_snapshot_index(index));
  return manifest;
}

Result<SnapshotBase> check_manifest(const SnapshotManifest& manifest, const Digest& chain_id) {
  const ChainCheckpoint& checkpoint = manifest.checkpoint;
  const auto chain = LightChain::follow(checkpoint);
  if (!chain.ok()) return wrong("its checkpoint does not hold: " + chain.error().message);
  if (chain->chain_id() != chain_id) return wrong("it is of another chain");
  const BlockHeader& head = chain->head();
  UFAB_ASSIGN(const Record genesis, decode_record(checkpoint.genesis));
  const ChainParams& params = std::get<Genesis>(genesis.body).params;
  if (head.height == 0 || head.height % params.epoch_blocks != 0)
    return wrong(fmt::format("block {} does not end an epoch", head.height));
  SnapshotBase base;
  base.genesis = checkpoint.genesis;
  base.context = {head.height, head.time_us, head.previous, head.view, head.producer};
  base.state_root = head.state_root;
  for (const BlockHeader& header : checkpoint.trail)
    base.marks.push_back({header.height, block_hash(header), header.time_us});
  if (const auto begun = StateSnapshot::Restore::begin(base, manifest.index); !begun.ok())
    return begun.error();
  return base;
}

Chain resume_chain(const SnapshotManifest& manifest, State state) {
  const FinalHeader& head = manifest.checkpoint.head;
  return Chain::resume(std::move(state), head.block(), head.finality);
}

Status write_snapshot(const std::string& folder, ByteView manifest, const std::vector<Bytes>& chunks) {
  const std::string fresh = folder + ".new";
  std::error_code error;
  std::filesystem::remove_all(fresh, error);
  UFAB_TRY(make_folders(fresh));
  for (std::size_t i = 0; i < chunks.size(); ++i)
    UFAB_TRY(write_file_atomic(chunk_path(fresh, static_cast<std::uint32_t>(i)), chunks[i]));
  UFAB_TRY(write_file_atomic(fresh + "/manifest", manifest));
  return rename_durable(fresh, folder);
}

Result<Bytes> read_manifest(const std::string& folder) {
  return read_file(folder + "/manifest", manifest_size_max);
}

Result<Bytes> read_chunk(const std::string& folder, std::uint32_t number) {
  return read_file(chunk_path(folder, number), chunk_size_max);
}

Status check_whole(const std::string& ledger_folder) {
  if (!file_exists(ledger_folder + "/recent")) return {};
  return Error{
      ErrorCode::unavailable,
      fmt::format("{}: blocks of the chain are not here yet: its node began with a snapshot of the state "
                  "and fills them in (`ufab node status` shows how far it is)",
                  ledger_folder)};
}

Result<Chain> open_snapshot(const std::string& folder, const Digest& chain_id, SnapshotManifest& manifest) {
  UFAB_ASSIGN(const Bytes encoded, read_manifest(folder));
  UFAB_ASSIGN(manifest, decode_manifest(encoded));
  UFAB_ASSIGN(SnapshotBase base, check_manifest(manifest, chain_id));
  UFAB_ASSIGN(StateSnapshot::Restore restore, StateSnapshot::Restore::begin(std::move(base), manifest.index));
  for (std::uint32_t i = 0; i < restore.chunks(); ++i) {
    UFAB_ASSIGN(const Bytes chunk, read_chunk(folder, i));
    UFAB_TRY(restore.add(i, chunk));
  }
  UFAB_ASSIGN(State state, std::move(restore).finish());
  return resume_chain(manifest, std::move(state));
}

}  // namespace ufab
