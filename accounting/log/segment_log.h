// The append-only log: entries 0, 1, 2, … of bytes, in segment files of bounded size.
//
// A folder holds segment files named by their first entry, "%016x.seg" in hexadecimal. A segment is
//   magic "ufablog1" (8), u64 first entry, chain (32: the chain value before its first entry), u32 CRC-32C of
//   the 48 bytes before
// and then frames. A frame is
//   header: u32 payload size, chain (32), u32 CRC-32C of the 36 bytes before      40 bytes
//   payload
// chain of entry n = SHA-256(chain of entry n − 1 || payload of n), the first one before entry 0 being zero.
// Integers are little-endian. The header has a checksum of its own, so that a changed length is recognised
// as corruption and never taken for a torn tail.
//
// While a log is open its last segment has room (fabric/base/file.h): zeros behind the last frame, written
// ahead, so that making a frame durable is one write of the disk and none of the file system's own. A log
// that was closed has none; open() cuts off what a process that died has left.
//
// Recovery: at the end of the last segment a frame (or the segment's own head) may be torn, because the
// process or machine died while writing it; it was never acknowledged and open() cuts it off. Torn is
//   a header that ends early, or a whole header whose payload does;
//   a frame that is wrong, if nothing but zeros follows it and the part of it that lies in one of the disk's
//   sectors (512 bytes, from the file's start) is all zeros: a disk writes a sector or leaves it, so this one
//   was never written. What rots turns into zeros a whole sector at a time so rarely that it is not told
//   apart, as a lost write of whole sectors cannot be.
// Everything else (a checksum, a chain value or a name that is wrong, a missing segment) is
// ErrorCode::corrupt and names the entry.
//
// Durability: append() makes entries durable together with one fdatasync when it returns (group commit is its
// caller's batching). Not thread-safe; one process at a time (the caller holds a lock).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/base/file.h"

namespace ufab {

// Makes durable what a log has put, from any thread, while its owner puts more.
class LogSync {
 public:
  // Nothing to do when the owner has synced since it put the last entry.
  [[nodiscard]] Status sync();

 private:
  friend class SegmentLog;
  std::mutex mutex_;
  FileSync file_;
  std::atomic<bool> behind_{false};
};

class SegmentLog {
 public:
  // `replay` gets every entry in order; its error ends open() with that error.
  using Replay = std::function<Status(std::uint64_t entry, ByteView payload)>;
  // Creates the folder if it is missing. An entry may have at most payload_size_max bytes.
  [[nodiscard]] static Result<SegmentLog> open(const std::string& folder, std::uint64_t segment_size_max,
                                               std::size_t payload_size_max, const Replay& replay);
  // Reads without changing anything: for auditors. An entry whose bytes do not match the hash chain is still
  // handed to `replay`, whose error may say more; it is an error in any case.
  struct Scan {
    std::uint64_t entries = 0;  // whole and right ones; on an error the number of the first that is not
    bool torn = false;          // the log ends in a torn frame; room is none
  };
  [[nodiscard]] static Status scan(const std::string& folder, std::size_t payload_size_max,
                                   const Replay& replay, Scan& result);

  // Durable when it returns. After an error the log must be opened again.
  [[nodiscard]] Status append(ByteView payload);
  // The two halves of it, for several entries with one sync: what was put is durable after sync().
  [[nodiscard]] Status put(ByteView payload);
  [[nodiscard]] Status sync();
  // sync() for another thread.
  [[nodiscard]] const std::shared_ptr<LogSync>& later_sync() const { return later_sync_; }
  // Drops all entries from that one on: `entries` stay. Durable when it returns.
  [[nodiscard]] Status cut(std::uint64_t entries);
  // What can be kept of a log that open() calls corrupt: the entries before the first that is wrong, which
  // `replay` gets. Everything from there on is moved to `aside`, a new folder, file by file as it was.
  // Returns how many entries stay; the log may be opened then.
  [[nodiscard]] static Result<std::uint64_t> salvage(const std::string& folder, std::size_t payload_size_max,
                                                     const Replay& replay, const std::string& aside);
  // corrupt when it is not what was appended: what happened to the file since open() is found here.
  [[nodiscard]] Result<Bytes> read(std::uint64_t entry) const;
  [[nodiscard]] std::uint64_t size() const { return places_.size(); }

 private:
  struct Segment {
    std::string path;
    std::uint64_t first = 0;
  };
  struct Place {
    std::uint32_t segment = 0;
    std::uint32_t size = 0;
    std::uint64_t offset = 0;  // of the frame's header
  };
  struct Walk;
  [[nodiscard]] static Status walk(const std::string& folder, std::size_t payload_size_max,
                                   const Replay& replay, Walk& result);
  [[nodiscard]] Status start_segment();

  std::string folder_;
  std::uint64_t segment_size_max_ = 0;
  std::size_t payload_size_max_ = 0;
  std::vector<Segment> segments_;
  std::vector<Place> places_;
  Digest chain_;
  AppendFile tail_;
  std::shared_ptr<LogSync> later_sync_ = std::make_shared<LogSync>();  // of tail_
};

// CRC-32C (Castagnoli, reflected 0x82F63B78), as in RFC 3720.
[[nodiscard]] std::uint32_t crc32c(ByteView bytes);

}  // namespace ufab
