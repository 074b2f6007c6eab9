#include "jobs/node/snapshot_keeper.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "accounting/snapshot/manifest.h"
#include "fabric/base/file.h"
#include "jobs/node/job_files.h"

namespace ufab::jobs {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kept = 2;
constexpr int rest = 20;  // times as long as the last one took

Answer piece_of(const Bytes& whole, std::uint64_t offset, std::uint64_t height) {
  Answer answer{{{"height", height}, {"size", whole.size()}}, {}};
  if (offset >= whole.size()) return answer;
  const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(offset);
  const std::size_t size = std::min<std::size_t>(piece_bytes, whole.size() - offset);
  answer.body.assign(begin, begin + static_cast<std::ptrdiff_t>(size));
  return answer;
}

}  // namespace

SnapshotKeeper::SnapshotKeeper(Ledger& ledger, std::string folder,
                               std::function<void(const std::string&)> log)
    : ledger_(ledger), folder_(std::move(folder)), log_(std::move(log)), thread_([this] { run(); }) {
  ledger_.on_block([this](const Head& head) { block_came(head); });
}

SnapshotKeeper::~SnapshotKeeper() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void SnapshotKeeper::block_came(const Head&) {
  const std::lock_guard guard(mutex_);
  if (stopping_ || busy_ || Clock::now() < next_) return;
  const auto began = Clock::now();
  auto draft = ledger_.draft_snapshot();
  if (!draft.ok()) return;  // the epoch goes on
  next_ = Clock::now() + rest * (Clock::now() - began);
  draft_ = std::make_unique<const SnapshotDraft>(*std::move(draft));
  busy_ = true;
  changed_.notify_all();
}

void SnapshotKeeper::run() {
  std::unique_lock guard(mutex_);
  for (;;) {
    changed_.wait(guard, [this] { return stopping_ || draft_ != nullptr; });
    if (stopping_) return;
    const auto draft = std::exchange(draft_, nullptr);
    guard.unlock();
    const auto began = Clock::now();
    make(*draft);
    guard.lock();
    next_ = std::max(next_, Clock::now() + rest * (Clock::now() - began));
    busy_ = false;
  }
}

void SnapshotKeeper::make(const SnapshotDraft& draft) {
  const std::uint64_t height = draft.state.height();
  const auto write = [&]() -> Status {
    UFAB_ASSIGN(Snapshot snapshot, StateSnapshot::take(draft.state));
    const SnapshotManifest manifest{draft.checkpoint, std::move(snapshot.index)};
    return write_snapshot(path(height), encode_manifest(manifest), snapshot.chunks);
  };
  if (const Status written = write(); !written.ok())
    return log_("no snapshot of block " + std::to_string(height) + ": " + written.error().message);
  std::vector<std::uint64_t> all = heights();
  for (; all.size() > kept; all.erase(all.begin())) {
    std::error_code error;
    fs::remove_all(path(all.front()), error);
  }
}

std::string SnapshotKeeper::path(std::uint64_t height) const {
  return folder_ + "/" + std::to_string(height);
}

std::vector<std::uint64_t> SnapshotKeeper::heights() const {
  std::vector<std::uint64_t> found;
  std::error_code error;
  for (fs::directory_iterator it(folder_, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::uint64_t height = 0;
    const auto [rest_of_it, wrong] = std::from_chars(name.data(), name.data() + name.size(), height);
    if (wrong == std::errc() && rest_of_it == name.data() + name.size()) found.push_back(height);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<Answer> SnapshotKeeper::manifest(const Request& request) const {
  UFAB_ASSIGN(const std::uint64_t offset, json_number(request.params, "offset"));
  std::uint64_t height = 0;
  if (request.params.contains("height")) {
    UFAB_ASSIGN(height, json_number(request.params, "height"));
  } else {
    const std::vector<std::uint64_t> all = heights();
    if (all.empty()) return Error{ErrorCode::not_found, "this node has no snapshot yet"};
    height = all.back();
  }
  const auto bytes = read_manifest(path(height));
  if (!bytes.ok()) return Error{ErrorCode::not_found, "no snapshot of block " + std::to_string(height)};
  return piece_of(*bytes, offset, height);
}

Result<Answer> SnapshotKeeper::chunk(const Request& request) const {
  UFAB_ASSIGN(const std::uint64_t height, json_number(request.params, "height"));
  UFAB_ASSIGN(const std::uint64_t number, json_number(request.params, "chunk"));
  UFAB_ASSIGN(const std::uint64_t offset, json_number(request.params, "offset"));
  const auto bytes = number < StateTree::buckets_count
                         ? read_chunk(path(height), static_cast<std::uint32_t>(number))
                         : Result<Bytes>(Error{ErrorCode::not_found, ""});
  if (!bytes.ok())
    return Error{ErrorCode::not_found, "no such chunk of a snapshot of block " + std::to_string(height)};
  return piece_of(*bytes, offset, height);
}

}  // namespace ufab::jobs
