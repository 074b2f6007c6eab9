// The values under the state root (accounting/state/state_tree.h): their canonical encoding, and back. Layout
// as that of records (accounting/records/codec.h), the fields in the order in which entry_codec.cpp lists
// them; something that may be absent is a flag and, if it is set, its value.
//
// What a value does not hold in full it binds by a digest: the receipts of a window, and the lanes of a
// benchmark that waits for its check. Decoders leave those empty.
#pragma once

#include "accounting/state/entries.h"
#include "accounting/state/usage_imports.h"
#include "fabric/base/codec.h"

namespace ufab {

// What the state has once. Slot account and seed_share have the u64 balance and the bytes of the output.
struct GlobalEntry {
  Digest chain_id;
  std::uint64_t height = 0;
  std::uint64_t epoch = 0;
  Digest epoch_seed;
  std::vector<Seat> seats;
  std::vector<OrgId> kicked;
  std::uint64_t derived_sequence = 0;
  MicroUnc minted = 0;
  MicroUnc burned = 0;
  JobId job_last = 0;
};

// A key that somebody has or had: nobody can take it again.
struct TakenKey {
  PublicKey key;
  OrgId organisation = 0;
  KeyRole role = KeyRole::owner;
};

void encode_entry(Writer& writer, const GlobalEntry& entry);
void encode_entry(Writer& writer, const OrgEntry& entry);
void encode_entry(Writer& writer, const JobEntry& entry);  // its windows are entries of their own
void encode_entry(Writer& writer, const WindowEntry& entry);
void encode_entry(Writer& writer, const UsageImportEntry& entry);
void encode_entry(Writer& writer, const Committee& entry);
void encode_entry(Writer& writer, const TakenKey& entry);
void encode_entry(Writer& writer, const PastJob& entry);

// Refuses what the encoder would not produce; what the rules would not produce is not looked for.
template <class Entry>
[[nodiscard]] Result<Entry> decode_entry(ByteView value);

}  // namespace ufab
