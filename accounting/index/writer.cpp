#include "accounting/index/writer.h"

#include <chrono>

namespace ufab {

namespace {

constexpr std::size_t queue_max = 64;
constexpr std::size_t batch_rows = 16384;
constexpr std::chrono::milliseconds batch_time{250};

}  // namespace

IndexedBlock indexed_block(std::shared_ptr<const AppliedBlock> block, const State& state) {
  IndexedBlock item{std::move(block), {}};
  item.signers.reserve(item.block->records.size());
  for (const Record& record : item.block->records) {
    item.signers.push_back(state.organisation_of_any_key(record.signer));
  }
  return item;
}

Status add_to_index(Index& index, const IndexedBlock& item) {
  const AppliedBlock& applied = *item.block;
  std::vector<IndexedRecord> rows;
  rows.reserve(applied.records.size());
  for (std::size_t i = 0; i < applied.records.size(); ++i) {
    const RecordId id = applied.ids.empty() ? record_id(applied.block.records[i]) : applied.ids[i];
    rows.push_back({&applied.records[i], id, item.signers[i], &applied.movements[i]});
  }
  return index.add(applied.block.header, block_hash(applied.block.header), rows, applied.start_movements);
}

IndexWriter::IndexWriter(std::unique_ptr<Index> index, std::function<Status()> make_durable)
    : index_(std::move(index)), make_durable_(std::move(make_durable)), thread_([this] { run(); }) {}

IndexWriter::~IndexWriter() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Status IndexWriter::add(IndexedBlock item) {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [&] { return queue_.size() < queue_max || failed_; });
  if (failed_) return *failed_;
  queue_.push_back(std::move(item));
  guard.unlock();
  changed_.notify_all();
  return {};
}

Result<std::optional<RecordPlace>> IndexWriter::find_record(const RecordId& id) {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [&] { return (queue_.empty() && !writing_) || failed_; });
  if (failed_) return *failed_;
  return index_->find_record(id);
}

Status IndexWriter::commit() {
  UFAB_TRY(make_durable_());
  return index_->flush();
}

void IndexWriter::run() {
  using Clock = std::chrono::steady_clock;
  bool pending = false;     // something is written and not committed
  Clock::time_point due{};  // when it is to be committed
  std::unique_lock guard(mutex_);
  for (;;) {
    const auto ready = [&] { return stopping_ || !queue_.empty(); };
    if (!pending) {
      changed_.wait(guard, ready);
    } else {
      changed_.wait_until(guard, due, ready);
    }
    if (failed_ || (queue_.empty() && stopping_)) break;
    IndexedBlock item;
    if (!queue_.empty()) {
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    writing_ = true;
    guard.unlock();
    Status status;
    if (item.block != nullptr) {
      status = add_to_index(*index_, item);
      if (!pending) due = Clock::now() + batch_time;
      pending = true;
    }
    if (status.ok() && pending && (Clock::now() >= due || index_->rows_waiting() >= batch_rows)) {
      status = commit();
      pending = false;
    }
    guard.lock();
    writing_ = false;
    if (!status.ok()) failed_ = status.error();
    changed_.notify_all();
  }
  // A failure here costs nothing that the log does not have.
  if (!failed_) (void)commit();
}

}  // namespace ufab
