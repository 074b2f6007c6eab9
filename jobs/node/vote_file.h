// The vote log of one validator's key on disk (accounting/consensus/vote_log.h has its layout):
// votes.NAME.log in the home, made together with the key. Not thread-safe.
//
// A file that is missing or damaged is lost: its key never votes again, for nobody knows what it has signed.
//
// votes.NAME.floor, beside it, holds the ledger's height up to which votes were dropped. A ledger that was
// cut below it (a damaged log that was repaired) must have come back that far before the key votes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "accounting/consensus/vote_log.h"
#include "fabric/base/file.h"

namespace ufab::jobs {

class VoteFile {
 public:
  // Makes an empty log, for a key that has never voted; conflict if there is one.
  [[nodiscard]] static Status create(const std::string& path);
  // The height below which the ledger must not be; 0 if none was written.
  [[nodiscard]] static Result<std::uint64_t> floor(const std::string& path);
  // Reads it. When it is lost, records() is empty, why_lost() says why, and nothing may be appended.
  [[nodiscard]] static Result<VoteFile> open(const std::string& path);

  [[nodiscard]] const std::optional<std::vector<consensus::VoteRecord>>& records() const { return records_; }
  [[nodiscard]] const std::string& why_lost() const { return why_lost_; }

  // Durable after sync().
  [[nodiscard]] Status append(const consensus::VoteRecord& record);
  [[nodiscard]] Status sync();
  // Only these from now on; those dropped are of blocks up to that height.
  [[nodiscard]] Status renew(const std::vector<consensus::VoteRecord>& records, std::uint64_t height);

 private:
  explicit VoteFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::optional<std::vector<consensus::VoteRecord>> records_;
  std::string why_lost_;
  consensus::VoteLogWriter writer_;
  AppendFile file_;
};

}  // namespace ufab::jobs
