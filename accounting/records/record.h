// A record: envelope, body, signature. The unit of everything that the ledger knows.
//
// Layout (fabric/base/codec.h): u8 version = 1, u8 type, signer (32 bytes; zero for a derived record),
// u64 sequence, u64 time_us, body (bodies.h, derived.h), and for signed types the Ed25519 signature
// (64 bytes) over signing_digest(). The record's id is SHA-256 of all of it.
//
// Sequence: an organisation's records are numbered 1, 2, … without a gap, across key changes; that is the
// replay protection. Its agent's records have a numbering of their own, which begins with each agent's key;
// derived records have one too. The organisation record (and genesis) is its signer's number 1.
// Bounds: record_size_max bytes. decode() refuses what encode() would not produce.
#pragma once

#include <variant>

#include "accounting/records/agents.h"
#include "accounting/records/derived.h"
#include "accounting/records/enrolment.h"
#include "accounting/records/links.h"
#include "accounting/records/validators.h"

namespace ufab {

using RecordBody =
    std::variant<Genesis, Organisation, KeyChange, ProviderEnrol, ProviderUpdate, ProviderActionRecord, Stake,
                 Unstake, Transfer, JobOrder, JobAttempt, Lease, ReceiptBatch, Countersignature, UsageReceipt,
                 Vote, Cancel, Correction, UsageImport, ProviderBenchmark, BenchmarkCheck, LeaseReturn,
                 LinkReport, AgentEnrol, AgentAllowance, AgentRevoke, ValidatorStand, ValidatorLeave,
                 EvidenceRecord, SeedShareRecord, Refusal, Validation, Verdict, Slash, Burn, Settlement,
                 Reward, Score, Epoch, Release, Fault, StandingChange, BenchmarkCredit, BenchmarkDuty,
                 Conviction>;

[[nodiscard]] RecordType type_of(const RecordBody& body);

struct Record {
  PublicKey signer;
  std::uint64_t sequence = 0;
  std::uint64_t time_us = 0;  // since 1970, by the signer's clock; for a derived record the block's time
  RecordBody body;
  Signature signature;  // all zero, and not encoded, for a derived record

  [[nodiscard]] RecordType type() const { return type_of(body); }
};

[[nodiscard]] Bytes encode_record(const Record& record);
[[nodiscard]] Result<Record> decode_record(ByteView bytes);
[[nodiscard]] RecordId record_id(ByteView encoding);
[[nodiscard]] RecordId record_id(const Record& record);

// What the signature covers: SHA-256("ufab record 1\n" || chain id || encoding without the signature).
// The chain id is zero for genesis itself.
[[nodiscard]] Digest signing_digest(const Digest& chain_id, const Record& record);
[[nodiscard]] Record sign_record(const Digest& chain_id, const KeyPair& key, std::uint64_t sequence,
                                 std::uint64_t time_us, RecordBody body);
[[nodiscard]] bool verify_record(const Digest& chain_id, const Record& record);
// The same, without encoding again. Precondition: `encoding` is what `record` was decoded from.
[[nodiscard]] bool verify_record(const Digest& chain_id, const Record& record, ByteView encoding);
// What a new key signs to prove its possession (KeyChange::proof).
[[nodiscard]] Digest key_change_digest(const Digest& chain_id, const PublicKey& from, const PublicKey& to);
// What an agent's key signs to prove its possession (AgentEnrol::proof).
[[nodiscard]] Digest agent_enrol_digest(const Digest& chain_id, const PublicKey& owner,
                                        const PublicKey& agent);

// For people: one JSON object with id, type, signer, sequence, time_us and the body's fields. Digests are
// "sha256:HEX", keys hex, 64-bit numbers JSON numbers.
[[nodiscard]] std::string record_json(const Record& record);
// "block-less" short name for messages: "transfer 3f9a…".
[[nodiscard]] std::string describe_record(const Record& record);

}  // namespace ufab
