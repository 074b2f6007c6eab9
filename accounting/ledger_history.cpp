// A ledger that begins with a snapshot, and fills in the blocks before it.
//
// What is where at any moment: `recent/` is there whole or not at all (a folder that is renamed), and as long
// as it is the ledger's blocks after the snapshot are in its log and nowhere else counts. It goes only when
// `log/` has them too, and before any block is added to `log/` alone. So a process that dies at any point
// finds a whole ledger, with or without a past to fill in.
#include <fmt/format.h>

#include <filesystem>

#include "accounting/ledger_impl.h"

namespace ufab {

namespace {

constexpr std::size_t join_batch = 64;  // blocks copied at once

}  // namespace

Status Ledger::Impl::open() {
  std::error_code error;
  // What was about to come or to go when a process died.
  std::filesystem::remove_all(path("recent.new"), error);
  std::filesystem::remove_all(path("recent.old"), error);
  store = std::make_unique<BlockStore>(options, path("log"));
  UFAB_TRY(store->open());
  if (!file_exists(path("recent")) || store->chain().empty()) return {};
  return open_recent();
}

Status Ledger::Impl::open_recent() {
  const Digest chain_id = chain().state().chain_id();
  auto recent = std::make_unique<BlockStore>(options, path("recent/log"), path("recent"), chain_id);
  const Status opened = recent->open();
  if (!opened.ok() && options.repair) {
    const std::string aside = path(fmt::format("damaged-recent-{}", options.now_us()).c_str());
    UFAB_TRY(rename_durable(path("recent"), aside));
    if (options.repaired) {
      options.repaired(
          fmt::format("the snapshot that the ledger began with was damaged ({}): it is in {}, and "
                      "the blocks come from the peers again",
                      opened.error().message, aside));
    }
    return {};
  }
  UFAB_TRY(opened);
  past = std::make_shared<Past>();
  past->base = recent->first() - 1;
  past->store = std::move(store);
  store = std::move(recent);
  return {};
}

Status Ledger::Impl::remove_recent() const {
  UFAB_TRY(rename_durable(path("recent"), path("recent.old")));
  std::error_code error;
  std::filesystem::remove_all(path("recent.old"), error);  // open() tries again
  return {};
}

std::shared_ptr<Ledger::Impl::Past> Ledger::Impl::get_past() const {
  const std::shared_lock guard(chain_mutex);
  return past;
}

Status Ledger::begin_at(const SnapshotManifest& manifest, const std::vector<Bytes>& chunks, State state) {
  const auto conflict = [](const char* why) {
    return Error{ErrorCode::conflict, std::string("the ledger cannot begin with a snapshot: ") + why};
  };
  if (impl_->get_past() != nullptr) return conflict("it began with one");
  if (head().height >= state.height()) return conflict("it is not behind it");
  UFAB_TRY(write_snapshot(impl_->path("recent"), encode_manifest(manifest), chunks));
  auto recent = std::make_unique<BlockStore>(impl_->options, impl_->path("recent/log"), impl_->path("recent"),
                                             state.chain_id());
  recent->prepare(resume_chain(manifest, std::move(state)), manifest);
  if (const Status opened = recent->open(); !opened.ok()) {
    UFAB_TRY(impl_->remove_recent());  // the ledger goes on in log/ alone
    return opened;
  }
  Head fresh;
  {
    const std::unique_lock guard(impl_->chain_mutex);
    UFAB_TRY(impl_->usable());
    if (impl_->chain().head().height >= recent->chain().head().height) {
      UFAB_TRY(impl_->remove_recent());
      return conflict("it is not behind it");
    }
    impl_->past = std::make_shared<Impl::Past>();
    impl_->past->base = recent->chain().head().height;
    impl_->past->store = std::move(impl_->store);
    impl_->store = std::move(recent);
    fresh = {impl_->chain().head().height, impl_->chain().head_hash(), impl_->chain().head().time_us};
  }
  impl_->publish(fresh);
  return {};
}

std::optional<History> Ledger::history() const {
  const auto past = impl_->get_past();
  if (past == nullptr) return std::nullopt;
  const std::lock_guard guard(past->mutex);
  if (past->store == nullptr) return std::nullopt;
  return History{past->base, past->store->chain().head().height};
}

Status Ledger::fill_history(const std::vector<Bytes>& encoded_blocks) {
  const auto past = impl_->get_past();
  if (past == nullptr) return {};
  UFAB_ASSIGN(std::vector<Block> blocks, Impl::decode_blocks(encoded_blocks));
  std::erase_if(blocks, [&](const Block& block) { return block.header.height > past->base; });
  const std::lock_guard guard(past->mutex);
  if (past->store == nullptr) return {};  // whole since
  BlockStore& store = *past->store;
  if (store.stopped()) return *store.stopped();
  const Status taken = check_and_take(
      std::move(blocks), [&store](std::span<const Block> waiting) { return store.final_part(waiting); },
      [&store](std::vector<PreparedBlock> next) {
        std::vector<IndexedBlock> indexed;
        return store.take_in(std::move(next), Durable::soon, indexed);
      });
  UFAB_TRY(store.later_sync()->sync());
  UFAB_TRY(taken);
  if (store.chain().head().height < past->base) return {};
  return impl_->join_past(*past);
}

Status Ledger::Impl::join_past(Past& done) {
  BlockStore& whole = *done.store;
  const Error forged{ErrorCode::corrupt,
                     fmt::format("the blocks from 0 on lead to another block {} than the snapshot that this "
                                 "ledger began with: one of the two was forged",
                                 done.base)};
  // Most of them while the ledger goes on; the last few, and the change of places, while it stands still.
  const auto copy_to = [&](std::uint64_t last) -> Status {
    while (whole.chain().head().height < last) {
      std::vector<PreparedBlock> batch;
      const std::uint64_t first = whole.chain().head().height + 1;
      for (std::uint64_t at = first; at <= last && batch.size() < join_batch; ++at) {
        UFAB_ASSIGN(const Bytes encoded, store->block(at));
        UFAB_ASSIGN(Block block, decode_block(encoded));
        if (at == first && block.header.previous != whole.chain().head_hash()) return forged;
        batch.push_back(prepare_block(std::move(block), Signatures::checked));
      }
      std::vector<IndexedBlock> taken;
      UFAB_TRY(whole.take_in(std::move(batch), Durable::now, taken));
    }
    return {};
  };
  for (;;) {
    const std::shared_lock guard(chain_mutex);
    UFAB_TRY(usable());
    if (chain().head().height < whole.chain().head().height + join_batch) break;
    UFAB_TRY(copy_to(whole.chain().head().height + join_batch));
  }
  const std::unique_lock guard(chain_mutex);
  UFAB_TRY(usable());
  UFAB_TRY(copy_to(chain().head().height));
  if (whole.chain().head_hash() != chain().head_hash()) return forged;
  UFAB_TRY(remove_recent());
  store = std::move(done.store);
  past.reset();
  return {};
}

Result<Bytes> Ledger::Impl::block(std::uint64_t height) const {
  std::shared_ptr<Past> before;
  {
    const std::shared_lock guard(chain_mutex);
    UFAB_TRY(usable());
    if (past == nullptr || height >= store->first()) return store->block(height);
    before = past;
  }
  const std::lock_guard guard(before->mutex);
  if (before->store == nullptr) return block(height);  // it is whole by now
  const std::uint64_t filled = before->store->chain().head().height;
  if (height <= filled) return before->store->block(height);
  return Error{ErrorCode::unavailable,
               fmt::format("block {} is not here yet: this node began with the state after block {}, and has "
                           "filled in blocks 0 to {} so far",
                           height, before->base, filled)};
}

Result<SnapshotDraft> Ledger::draft_snapshot() const {
  const std::shared_lock guard(impl_->chain_mutex);
  UFAB_TRY(impl_->usable());
  UFAB_ASSIGN(ChainCheckpoint checkpoint, impl_->store->prove_head());
  return SnapshotDraft{std::move(checkpoint), impl_->chain().state()};
}

}  // namespace ufab
