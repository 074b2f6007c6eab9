#include "accounting/log/segment_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>

#include "fabric/base/codec.h"

namespace ufab {

namespace {

constexpr std::string_view segment_magic = "ufablog1";
constexpr std::size_t segment_head_size = 8 + 8 + 32 + 4;
constexpr std::size_t frame_head_size = 4 + 32 + 4;
constexpr std::size_t segment_file_size_max = std::size_t{1} << 32;
constexpr std::size_t sector_size = 512;
constexpr std::uint64_t room_size = std::uint64_t{256} << 10;
constexpr std::size_t room_frame_max = std::size_t{64} << 10;  // larger ones are not written twice

std::string segment_name(std::uint64_t first) {
  return fmt::format("{:016x}.seg", first);
}

Digest next_chain(const Digest& chain, ByteView payload) {
  return sha256(chain.view(), payload);
}

using SegmentHead = std::array<std::uint8_t, segment_head_size>;
using FrameHead = std::array<std::uint8_t, frame_head_size>;

void put_le(std::uint8_t* to, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) to[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

SegmentHead encode_segment_head(std::uint64_t first, const Digest& chain) {
  SegmentHead head;
  std::copy(segment_magic.begin(), segment_magic.end(), head.begin());
  put_le(head.data() + 8, first, 8);
  std::copy(chain.bytes.begin(), chain.bytes.end(), head.begin() + 16);
  put_le(head.data() + 48, crc32c(ByteView(head).first(48)), 4);
  return head;
}

FrameHead encode_frame_head(std::size_t size, const Digest& chain) {
  FrameHead head;
  put_le(head.data(), size, 4);
  std::copy(chain.bytes.begin(), chain.bytes.end(), head.begin() + 4);
  put_le(head.data() + 36, crc32c(ByteView(head).first(36)), 4);
  return head;
}

// Reads one file from its start in order. At its end it returns fewer bytes than asked for.
class FileReader {
 public:
  explicit FileReader(const std::string& path) : stream_(path, std::ios::binary) {}
  [[nodiscard]] bool is_open() const { return stream_.is_open(); }
  bool seek(std::uint64_t offset) { return !!stream_.seekg(static_cast<std::streamoff>(offset)); }
  std::size_t read(std::uint8_t* to, std::size_t size) {
    stream_.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(size));
    return static_cast<std::size_t>(stream_.gcount());
  }
  [[nodiscard]] bool rest_is_zero() {
    std::array<std::uint8_t, 4096> buffer;
    for (std::size_t got = read(buffer.data(), buffer.size()); got > 0;
         got = read(buffer.data(), buffer.size())) {
      if (!all_zero({buffer.data(), got})) return false;
    }
    return true;
  }
  static bool all_zero(ByteView bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
  }

 private:
  std::ifstream stream_;
};

// Whether a frame at `offset` of the segment, which is wrong, was torn; see the header. `payload`: its size,
// if the frame's header is right.
bool is_torn_write(const std::string& path, std::uint64_t offset, std::optional<std::size_t> payload,
                   std::size_t payload_size_max) {
  FileReader file(path);
  if (!file.seek(offset)) return false;
  Bytes frame(frame_head_size + payload.value_or(payload_size_max));
  const std::size_t got = file.read(frame.data(), frame.size());
  if (!file.rest_is_zero()) return false;
  frame.resize(got);
  // Of a header that is wrong only its own sectors are looked at: it does not say where the frame ends.
  const std::size_t examined = payload ? got : std::min(got, frame_head_size);
  for (std::size_t begin = 0; begin < examined;) {
    const std::size_t end = std::min<std::size_t>(begin + sector_size - (offset + begin) % sector_size, got);
    if (FileReader::all_zero(ByteView(frame).subspan(begin, end - begin))) return true;
    begin = end;
  }
  return false;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> entries{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ 0x82F63B78u : value >> 1;
      entries[i] = value;
    }
    return entries;
  }();
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::uint8_t byte : bytes) crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF];
  return ~crc;
}

// What a walk over the whole log found.
struct SegmentLog::Walk {
  std::vector<Segment> segments;
  std::vector<Place> places;
  Digest chain;
  std::uint64_t tail_size = 0;  // of the last segment, without what is torn
  bool torn = false;
  bool room = false;       // zeros follow the last whole frame
  bool torn_head = false;  // the last segment's own head is torn: the file holds nothing
  bool explain = false;    // hand damaged entries to replay too
  bool replay_failed = false;
};

Status SegmentLog::walk(const std::string& folder, std::size_t payload_size_max, const Replay& replay,
                        Walk& result) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".seg")) names.push_back(name);
  }
  if (error) return Error{ErrorCode::io, fmt::format("{}: {}", folder, error.message())};
  std::sort(names.begin(), names.end());
  Bytes payload;
  for (std::size_t n = 0; n < names.size(); ++n) {
    const bool last = n + 1 == names.size();
    const std::string path = folder + "/" + names[n];
    const std::uint64_t first = result.places.size();
    const auto corrupt = [&](const std::string& why) {
      return Error{ErrorCode::corrupt, fmt::format("{}: entry {}: {}", names[n], result.places.size(), why)};
    };
    if (names[n] != segment_name(first)) {
      return corrupt(
          fmt::format("expected segment {}: a segment is missing, added or renamed", segment_name(first)));
    }
    FileReader file(path);
    if (!file.is_open()) return Error{ErrorCode::io, fmt::format("{}: cannot be read", path)};
    SegmentHead head;
    const std::size_t head_got = file.read(head.data(), head.size());
    if (head_got < head.size() || FileReader::all_zero(head)) {
      if (!last) return corrupt("the segment's head is cut short");
      // Only a prefix of the right head, or zeros, can be torn.
      const SegmentHead expected = encode_segment_head(first, result.chain);
      const bool prefix =
          std::equal(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(head_got), expected.begin());
      const bool zeros = FileReader::all_zero({head.data(), head_got}) && file.rest_is_zero();
      if (!prefix && !zeros) return corrupt("the segment's head is damaged");
      result.segments.push_back({path, first});
      result.torn = result.torn_head = true;
      return {};
    }
    const SegmentHead expected = encode_segment_head(first, result.chain);
    if (!std::equal(head.begin(), head.end(), expected.begin()))
      return corrupt("the segment's head is damaged");
    result.segments.push_back({path, first});
    std::uint64_t offset = segment_head_size;
    for (;;) {
      FrameHead frame;
      const std::size_t got = file.read(frame.data(), frame.size());
      if (got == 0) break;
      const bool zeros = FileReader::all_zero({frame.data(), got});
      const auto torn_write = [&](std::optional<std::size_t> size) {
        return last && is_torn_write(path, offset, size, payload_size_max);
      };
      if (got < frame.size() || zeros) {
        if (!last) return corrupt("the frame's header is cut short");
        result.room = zeros && file.rest_is_zero();
        if (zeros && !result.room && !torn_write(std::nullopt))
          return corrupt("the frame's header is zero, but data follows");
        result.torn = !result.room;
        break;
      }
      Reader reader(frame);
      const std::uint32_t size = reader.u32();
      const Digest chain = Digest::from(reader.raw(32));
      if (reader.u32() != crc32c(ByteView(frame).first(frame_head_size - 4))) {
        result.torn = torn_write(std::nullopt);
        if (result.torn) break;
        return corrupt("the frame's header does not match its checksum");
      }
      if (size > payload_size_max)
        return corrupt(fmt::format("{} bytes, at most {} are possible", size, payload_size_max));
      payload.resize(size);
      if (file.read(payload.data(), size) < size) {
        if (!last) return corrupt("the frame is cut short");
        result.torn = true;
        break;
      }
      if (next_chain(result.chain, payload) != chain) {
        result.torn = torn_write(size);
        if (result.torn) break;
        if (result.explain) UFAB_TRY(replay(result.places.size(), payload));
        return corrupt("its bytes do not match the hash chain");
      }
      result.places.push_back({static_cast<std::uint32_t>(result.segments.size() - 1), size, offset});
      result.chain = chain;
      Status replayed = replay(result.places.size() - 1, payload);
      result.replay_failed = !replayed.ok();
      if (!replayed.ok()) return replayed;
      offset += frame_head_size + size;
    }
    result.tail_size = offset;
    if (!last && result.places.size() == first) return corrupt("the segment is empty");
  }
  return {};
}

Status SegmentLog::scan(const std::string& folder, std::size_t payload_size_max, const Replay& replay,
                        Scan& result) {
  Walk found;
  found.explain = true;
  Status status = walk(folder, payload_size_max, replay, found);
  // An entry that `replay` refused has its place already.
  result.entries = found.replay_failed ? found.places.size() - 1 : found.places.size();
  result.torn = found.torn;
  return status;
}

Result<SegmentLog> SegmentLog::open(const std::string& folder, std::uint64_t segment_size_max,
                                    std::size_t payload_size_max, const Replay& replay) {
  UFAB_TRY(make_folders(folder));
  Walk found;
  UFAB_TRY(walk(folder, payload_size_max, replay, found));
  SegmentLog log;
  log.folder_ = folder;
  log.segment_size_max_ = std::min<std::uint64_t>(segment_size_max, segment_file_size_max);
  log.payload_size_max_ = payload_size_max;
  log.places_ = std::move(found.places);
  log.segments_ = std::move(found.segments);
  log.chain_ = found.chain;
  if (log.segments_.empty()) return log;
  UFAB_ASSIGN(log.tail_, AppendFile::open(log.segments_.back().path));
  if (found.torn_head) {
    UFAB_TRY(log.tail_.truncate(0));
    UFAB_TRY(log.tail_.append(encode_segment_head(log.places_.size(), log.chain_)));
    UFAB_TRY(log.tail_.sync());
  } else if (found.torn || found.room) {
    UFAB_TRY(log.tail_.truncate(found.tail_size));
  }
  UFAB_TRY(log.later_sync_->file_.follow(log.tail_));
  return log;
}

Status SegmentLog::start_segment() {
  const std::string path = folder_ + "/" + segment_name(places_.size());
  UFAB_ASSIGN(tail_, AppendFile::open(path));
  UFAB_TRY(tail_.append(encode_segment_head(places_.size(), chain_)));
  UFAB_TRY(tail_.sync());
  UFAB_TRY(sync_folder_of(path));
  UFAB_TRY(later_sync_->file_.follow(tail_));
  segments_.push_back({path, places_.size()});
  return {};
}

Status SegmentLog::append(ByteView payload) {
  UFAB_TRY(put(payload));
  return sync();
}

Status SegmentLog::sync() {
  if (!tail_.is_open()) return {};
  UFAB_TRY(tail_.sync());
  later_sync_->behind_ = false;
  return {};
}

Status LogSync::sync() {
  const std::lock_guard guard(mutex_);  // whoever comes meanwhile waits for the sync that is under way
  if (!behind_.exchange(false)) return {};
  const Status status = file_.sync();
  if (!status.ok()) behind_ = true;
  return status;
}

Status SegmentLog::put(ByteView payload) {
  if (payload.size() > payload_size_max_) {
    return Error{ErrorCode::limit, fmt::format("log entry: {} bytes, at most {} are allowed", payload.size(),
                                               payload_size_max_)};
  }
  const bool full = tail_.is_open() && tail_.size() > segment_head_size &&
                    tail_.size() + frame_head_size + payload.size() > segment_size_max_;
  if (full) UFAB_TRY(tail_.truncate(tail_.size()));  // without room, and synced
  if (segments_.empty() || full) UFAB_TRY(start_segment());
  const Digest chain = next_chain(chain_, payload);
  const FrameHead head = encode_frame_head(payload.size(), chain);
  Bytes frame(frame_head_size + payload.size());
  std::copy(head.begin(), head.end(), frame.begin());
  std::copy(payload.begin(), payload.end(), frame.begin() + frame_head_size);
  const std::uint64_t offset = tail_.size();
  if (frame.size() <= room_frame_max && offset + frame.size() > tail_.room_end())
    UFAB_TRY(
        tail_.make_room(std::min(offset + room_size, std::max(segment_size_max_, offset + frame.size()))));
  UFAB_TRY(tail_.append(frame));
  later_sync_->behind_ = true;
  places_.push_back(
      {static_cast<std::uint32_t>(segments_.size() - 1), static_cast<std::uint32_t>(payload.size()), offset});
  chain_ = chain;
  return {};
}

namespace {

Status remove_durable(const std::string& path) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (error) return Error{ErrorCode::io, fmt::format("{}: {}", path, error.message())};
  return sync_folder_of(path);
}

}  // namespace

Status SegmentLog::cut(std::uint64_t entries) {
  UFAB_ASSERT(entries <= places_.size());
  if (entries == places_.size()) return {};
  if (entries == 0) {
    tail_ = AppendFile();
    for (; !segments_.empty(); segments_.pop_back()) UFAB_TRY(remove_durable(segments_.back().path));
    places_.clear();
    chain_ = Digest();
    return {};
  }
  const Place last = places_[entries - 1];
  // The newest first, so that a process that dies in between leaves a shorter log and no gap.
  while (segments_.size() - 1 > last.segment) {
    tail_ = AppendFile();
    UFAB_TRY(remove_durable(segments_.back().path));
    segments_.pop_back();
  }
  tail_ = AppendFile();
  UFAB_ASSIGN(tail_, AppendFile::open(segments_.back().path));
  UFAB_TRY(tail_.truncate(last.offset + frame_head_size + last.size));
  UFAB_TRY(later_sync_->file_.follow(tail_));
  FileReader file(segments_.back().path);
  FrameHead head;
  if (!file.seek(last.offset) || file.read(head.data(), head.size()) < head.size())
    return Error{ErrorCode::io, fmt::format("{}: cannot be read", segments_.back().path)};
  chain_ = Digest::from(ByteView(head).subspan(4, 32));
  places_.resize(entries);
  return {};
}

Result<std::uint64_t> SegmentLog::salvage(const std::string& folder, std::size_t payload_size_max,
                                          const Replay& replay, const std::string& aside) {
  Walk found;
  const Status status = walk(folder, payload_size_max, replay, found);
  if (status.ok()) return found.places.size();
  if (found.replay_failed) found.places.pop_back();
  const std::uint64_t whole = found.places.size();
  const std::string first_bad =  // the segment in which it is
      whole == 0 ? segment_name(0)
      : found.segments.size() > found.places.back().segment + 1
          ? segment_name(whole)
          : std::filesystem::path(found.segments.back().path).filename().string();
  UFAB_TRY(make_folders(aside));
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.ends_with(".seg") && name >= first_bad) names.push_back(name);
  }
  std::sort(names.rbegin(), names.rend());
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    if (!error) std::filesystem::copy_file(path, aside + "/" + name, error);
    if (error) return Error{ErrorCode::io, fmt::format("{}: {}", path, error.message())};
    const bool begins_whole = whole > 0 && path == found.segments[found.places.back().segment].path;
    if (!begins_whole) {
      UFAB_TRY(remove_durable(path));
      continue;
    }
    UFAB_ASSIGN(AppendFile file, AppendFile::open(path));
    const Place& last = found.places.back();
    UFAB_TRY(file.truncate(last.offset + frame_head_size + last.size));
  }
  if (error) return Error{ErrorCode::io, fmt::format("{}: {}", folder, error.message())};
  UFAB_TRY(sync_file_system_of(folder));
  return whole;
}

Result<Bytes> SegmentLog::read(std::uint64_t entry) const {
  if (entry >= places_.size()) {
    return Error{ErrorCode::not_found, fmt::format("log entry {}: the log has {}", entry, places_.size())};
  }
  const Place& place = places_[entry];
  const std::string& path = segments_[place.segment].path;
  // The chain value before it: in the head of the frame before, or of the segment.
  const bool first = entry == 0 || places_[entry - 1].segment != place.segment;
  std::ifstream stream(path, std::ios::binary);
  const auto get = [&stream](std::uint64_t offset, std::span<std::uint8_t> to) {
    stream.seekg(static_cast<std::streamoff>(offset));
    stream.read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size()));
  };
  Digest before;
  FrameHead head;
  Bytes payload(place.size);
  get(first ? 16 : places_[entry - 1].offset + 4, before.bytes);
  get(place.offset, head);
  get(place.offset + head.size(), payload);
  if (!stream.good()) return Error{ErrorCode::io, fmt::format("{}: entry {} cannot be read", path, entry)};
  Reader reader(head);
  const bool size_right = reader.u32() == place.size;
  const ByteView chain = reader.raw(before.bytes.size());
  if (!size_right || reader.u32() != crc32c(ByteView(head).first(frame_head_size - 4)))
    return Error{ErrorCode::corrupt, fmt::format("{}: entry {}: its header changed", path, entry)};
  const Digest after = next_chain(before, payload);
  if (!std::equal(chain.begin(), chain.end(), after.bytes.begin()))
    return Error{ErrorCode::corrupt, fmt::format("{}: entry {} or the one before changed", path, entry)};
  return payload;
}

}  // namespace ufab
