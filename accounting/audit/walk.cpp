#include "accounting/audit/walk.h"

#include <fmt/format.h>

#include "accounting/audit/workers.h"
#include "accounting/snapshot/manifest.h"
#include "fabric/base/file.h"

namespace ufab::audit {

namespace {

// An entry of the log on its way: read by one thread, worked out by any, applied in order by the caller's.
struct Entry {
  std::uint64_t number = 0;
  Bytes bytes;
  std::optional<Error> unreadable;
  PreparedBlock prepared;
};

// Votes under a block that has been applied, still to be checked.
struct Votes {
  std::uint64_t height = 0;
  std::shared_ptr<const AppliedBlock> applied;
  FinalityCheck check;
  Status status;
};

void prepare(Entry& entry) {
  auto block = decode_block(entry.bytes);
  entry.bytes = Bytes();
  if (block.ok()) {
    entry.prepared = prepare_block(std::move(*block));
  } else {
    entry.unreadable = block.error().within(fmt::format("block {}", entry.number));
    entry.unreadable->code = ErrorCode::corrupt;
  }
}

class Walk {
 public:
  Walk(Chain& chain, const Visit& visit) : chain_(chain), visit_(visit) {}

  Status run(const std::string& log, SegmentLog::Scan& scan) {
    Status read;
    std::thread reader([&] {
      const auto hand_on = [this](std::uint64_t number, ByteView payload) -> Status {
        auto entry = std::make_shared<Entry>();
        entry->number = number;
        entry->bytes.assign(payload.begin(), payload.end());
        if (entries_.put(workers_, entry, [entry] { prepare(*entry); })) return {};
        return Error{ErrorCode::conflict, "an earlier block is wrong"};
      };
      read = SegmentLog::scan(log, block_size_max, hand_on, scan);
      entries_.end();
    });
    Status applied;
    while (const std::shared_ptr<Entry> entry = entries_.take()) {
      applied = apply(*entry);
      if (!applied.ok()) break;
    }
    entries_.stop();
    reader.join();
    // An error that a vote has comes first if its block does.
    votes_.end();
    while (votes_checked_.ok() && take_votes()) {
    }
    UFAB_TRY(votes_checked_);
    UFAB_TRY(applied);
    if (!read.ok() && read.error().code == ErrorCode::corrupt) {
      return Error{ErrorCode::corrupt,
                   fmt::format("block {} record 0 (unreadable): {}", scan.entries, read.error().message)};
    }
    UFAB_TRY(read);
    if (uncertified_) {
      return Error{ErrorCode::corrupt,
                   fmt::format("block {}: the certificate that makes it final is missing", *uncertified_)};
    }
    return {};
  }

 private:
  Status apply(Entry& entry) {
    if (entry.unreadable) return *entry.unreadable;
    const Block& block = entry.prepared.block;
    uncertified_ =
        wants_certificate(block) ? std::optional(uncertified_.value_or(entry.number)) : std::nullopt;
    consensus::BlockRef place = chain_.place();
    auto check = chain_.begin_finality(block, place);
    auto imported = chain_.import(std::move(entry.prepared));
    UFAB_TRY(imported);  // names the record, which the votes cannot
    UFAB_TRY(check);
    const auto applied = std::make_shared<const AppliedBlock>(std::move(*imported));
    UFAB_TRY(visit_(*applied));
    if (check->epoch == nullptr) return {};
    while (votes_.full()) {
      take_votes();
      UFAB_TRY(votes_checked_);
    }
    auto votes = std::make_shared<Votes>();
    votes->height = applied->block.header.height;
    votes->applied = applied;
    votes->check = *check;
    votes_.put(workers_, votes,
               [this, votes] { votes->status = votes->check.run(votes->applied->block, scheme_); });
    return {};
  }

  bool take_votes() {
    const std::shared_ptr<Votes> votes = votes_.take();
    if (votes == nullptr) return false;
    votes_checked_ = votes->status;
    return true;
  }

  Chain& chain_;
  const Visit& visit_;
  const consensus::Ed25519Scheme scheme_;
  std::optional<std::uint64_t> uncertified_;  // the first block without a certificate after the last with one
  Status votes_checked_;
  Workers workers_;
  Line<Entry> entries_{workers_};
  Line<Votes> votes_{workers_};
};

}  // namespace

Status walk(const std::string& folder, Chain& chain, SegmentLog::Scan& scan, const Visit& visit) {
  const std::string log = folder + "/log";
  if (!file_exists(log)) return Error{ErrorCode::not_found, fmt::format("{}: there is no ledger", folder)};
  UFAB_TRY(check_whole(folder));
  UFAB_TRY(Walk(chain, visit).run(log, scan));
  if (chain.empty()) return Error{ErrorCode::not_found, fmt::format("{}: the ledger has no genesis", folder)};
  return {};
}

}  // namespace ufab::audit
