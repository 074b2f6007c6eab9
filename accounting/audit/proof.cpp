#include "accounting/audit/proof.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "accounting/audit/audit.h"
#include "accounting/audit/collect.h"
#include "accounting/audit/light.h"
#include "accounting/audit/walk.h"
#include "fabric/base/codec.h"

namespace ufab {

namespace {

constexpr std::string_view proof_magic = "ufabproof2\n";

Error wrong(const std::string& why) {
  return {ErrorCode::invalid, "proof: " + why};
}

// What `audit prove` is asked for.
struct Reference {
  std::optional<std::pair<std::uint64_t, std::uint64_t>> place;
  std::optional<JobId> settlement_of;
  std::string id_prefix;  // hexadecimal

  [[nodiscard]] bool matches(const AppliedBlock& applied, std::size_t position) const {
    if (place) return place->first == applied.block.header.height && place->second == position;
    if (settlement_of) {
      const auto* body = std::get_if<Settlement>(&applied.records[position].body);
      return body != nullptr && body->job == *settlement_of;
    }
    return record_id(applied.block.records[position]).hex().starts_with(id_prefix);
  }
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<Reference> parse_reference(const std::string& text) {
  Reference reference;
  const std::size_t slash = text.find('/');
  if (slash != std::string::npos) {
    const auto second = parse_number(std::string_view(text).substr(slash + 1));
    const auto first = parse_number(std::string_view(text).substr(0, slash));
    if (text.starts_with("job/") && second) {
      reference.settlement_of = *second;
      return reference;
    }
    if (first && second) {
      reference.place = {*first, *second};
      return reference;
    }
  } else {
    std::string_view hex = text;
    if (hex.starts_with("sha256:")) hex.remove_prefix(7);
    const bool good = hex.size() >= 8 && hex.size() <= 64 &&
                      hex.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (good) {
      reference.id_prefix = hex;
      return reference;
    }
  }
  return Error{ErrorCode::usage, fmt::format("reference '{}': expected BLOCK/POSITION, job/N or a record id "
                                             "(sha256:HEX, at least eight digits)",
                                             text)};
}

// Finds the one record and gathers what proves it.
class Prover {
 public:
  Prover(const Chain& chain, const Reference& reference) : reference_(reference), collector_(chain) {}

  Status visit(const AppliedBlock& applied) {
    if (run_) {
      UFAB_ASSIGN(const bool whole, run_->add(applied));
      if (whole) run_.reset();
    }
    for (std::size_t i = 0; i < applied.records.size(); ++i) {
      if (!reference_.matches(applied, i) || ++found_ > 1) continue;
      collector_.need(applied.block.header.height);
      proof_.target = audit::place(applied, i);
      run_.emplace(proof_.target.block);
      UFAB_ASSIGN(const bool whole, run_->add(applied));
      if (whole) run_.reset();
      if (i + 1 == applied.records.size()) continue;
      PlacedRecord next = audit::place(applied, i + 1);
      proof_.has_next = true;
      proof_.next = std::move(next.record);
      proof_.next_path = std::move(next.path);
    }
    return collector_.visit(applied);
  }

  Result<Bytes> finish(const std::string& name) {
    if (found_ == 0) return Error{ErrorCode::not_found, fmt::format("no record is '{}'", name)};
    if (found_ > 1) {
      return Error{ErrorCode::invalid, fmt::format("'{}' fits {} records: give more digits", name, found_)};
    }
    UFAB_ASSIGN(proof_.checkpoint, collector_.finish());
    return encode_proof(proof_);
  }

 private:
  const Reference& reference_;
  audit::Collector collector_;
  Proof proof_;
  std::optional<audit::HeaderRun> run_;
  std::uint64_t found_ = 0;
};

std::string checkpoint_text(const CheckpointFacts& facts) {
  std::string text =
      fmt::format("chain    {} ({})\nhead     block {} {}\n         at {} us since 1970, epoch {}\n",
                  facts.chain_id.str(), facts.chain_name, facts.head_height, facts.head_hash.str(),
                  facts.head_time_us, facts.epoch);
  text += fmt::format("state    {}\n", facts.state_root.str());
  if (facts.validators.empty())
    text += fmt::format("producer {} (the founder alone)\n", facts.producer_key.hex());
  for (const Seat& seat : facts.validators) {
    text += fmt::format("seat     organisation {}: key {}, weight {} ppm, pledge {} micro-UNC\n",
                        seat.organisation, seat.key.hex(), seat.weight_ppm, seat.pledge);
  }
  for (const PublicKey& witness : facts.witnesses) text += fmt::format("witness  {}\n", witness.hex());
  return text;
}

Status check_witnesses(const CheckpointFacts& facts, const CheckOptions& options) {
  std::size_t known = 0;
  for (const PublicKey& witness : facts.witnesses) {
    known +=
        std::find(options.witnesses.begin(), options.witnesses.end(), witness) != options.witnesses.end();
  }
  if (known >= options.witnesses_min) return {};
  return Error{ErrorCode::invalid,
               fmt::format("checkpoint: {} of the given witnesses cosigned it, at least {} must", known,
                           options.witnesses_min)};
}

Result<LightChain> follow(const ChainCheckpoint& checkpoint, const CheckOptions& options,
                          CheckpointFacts& facts) {
  auto chain = LightChain::follow(checkpoint);
  if (!chain.ok()) return chain.error().within("checkpoint");
  facts.chain_id = chain->chain_id();
  if (options.chain_id && *options.chain_id != facts.chain_id) {
    return Error{ErrorCode::invalid, fmt::format("checkpoint: it is about chain {}, expected {}",
                                                 facts.chain_id.str(), options.chain_id->str())};
  }
  const BlockHeader& head = chain->head();
  facts.chain_name = chain->chain_name();
  facts.head_height = head.height;
  facts.head_hash = block_hash(head);
  facts.state_root = head.state_root;
  facts.head_time_us = head.time_us;
  facts.epoch = head.epoch;
  facts.links = checkpoint.links.size();
  facts.validators = chain->validators();
  facts.producer_key = chain->producer_key();
  facts.witnesses = chain->witnesses();
  UFAB_TRY(check_witnesses(facts, options));
  return chain;
}

Result<ProvenRecord> check_target(const Proof& proof, const LightChain& chain) {
  const auto wrong_block = [&](const Error& error) {
    return wrong(fmt::format("block {}: {}", proof.target.block.block().height, error.message));
  };
  if (const Status placed = chain.check(proof.target); !placed.ok()) return wrong_block(placed.error());
  ProvenRecord facts;
  UFAB_ASSIGN(facts.record, chain.check_record(proof.target.record));
  const BlockHeader& header = proof.target.block.block();
  facts.height = header.height;
  facts.position = proof.target.position;
  facts.record_count = header.record_count;
  facts.block_time_us = header.time_us;
  facts.id = record_id(proof.target.record);
  const bool last = facts.position + 1 == header.record_count;
  if (proof.has_next == last) return wrong("the record after the proven one is missing, or there is none");
  facts.fate = record_type_derived(facts.record.type()) ? "derived by the rules" : "accepted";
  if (!proof.has_next) return facts;
  const PlacedRecord next{proof.target.block, proof.target.position + 1, proof.next, proof.next_path};
  if (const Status placed = chain.check(next); !placed.ok()) return wrong_block(placed.error());
  UFAB_ASSIGN(const Record record, chain.check_record(proof.next));
  const auto* refusal = std::get_if<Refusal>(&record.body);
  if (refusal != nullptr && refusal->record == facts.id) {
    facts.fate = "REFUSED: " + refusal->reason;
    facts.refused = true;
  }
  return facts;
}

}  // namespace

Bytes encode_proof(const Proof& proof) {
  Writer writer;
  writer.raw(as_bytes(proof_magic));
  write_checkpoint(writer, proof.checkpoint);
  write_placed(writer, proof.target);
  writer.flag(proof.has_next);
  if (proof.has_next) {
    writer.blob(proof.next);
    write_path(writer, proof.next_path);
  }
  return writer.take();
}

Result<Proof> decode_proof(ByteView bytes) {
  if (bytes.size() > proof_size_max) return wrong(fmt::format("larger than {} bytes", proof_size_max));
  Reader reader(bytes);
  if (as_text(reader.raw(proof_magic.size())) != proof_magic)
    return wrong("not a proof file of this version");
  Proof proof;
  proof.checkpoint = read_checkpoint(reader);
  proof.target = read_placed(reader);
  proof.has_next = reader.flag();
  if (proof.has_next) {
    proof.next = read_record(reader);
    proof.next_path = read_path(reader);
  }
  UFAB_TRY(reader.finish("proof"));
  return proof;
}

Result<Bytes> audit_prove(const std::string& folder, const std::string& reference_text) {
  UFAB_ASSIGN(const Reference reference, parse_reference(reference_text));
  Chain chain;
  SegmentLog::Scan scan;
  Prover prover(chain, reference);
  UFAB_TRY(
      audit::walk(folder, chain, scan, [&](const AppliedBlock& applied) { return prover.visit(applied); }));
  return prover.finish(reference_text);
}

Result<Bytes> audit_checkpoint(const std::string& folder, std::optional<std::uint64_t> since) {
  Chain chain;
  SegmentLog::Scan scan;
  const auto trail_from = since ? std::optional(*since + 1) : std::nullopt;
  audit::Collector collector(chain, trail_from);
  UFAB_TRY(audit::walk(folder, chain, scan,
                       [&](const AppliedBlock& applied) { return collector.visit(applied); }));
  UFAB_ASSIGN(const ChainCheckpoint checkpoint, collector.finish());
  Bytes bytes = encode_checkpoint(checkpoint);
  if (bytes.size() > checkpoint_size_max)
    return Error{ErrorCode::limit, fmt::format("the checkpoint would have {} bytes", bytes.size())};
  return bytes;
}

Result<CheckFacts> audit_check(ByteView bytes, const CheckOptions& options) {
  CheckFacts facts;
  if (is_checkpoint(bytes)) {
    UFAB_ASSIGN(const ChainCheckpoint checkpoint, decode_checkpoint(bytes));
    UFAB_TRY(follow(checkpoint, options, facts.checkpoint));
    facts.text = checkpoint_text(facts.checkpoint);
    return facts;
  }
  UFAB_ASSIGN(const Proof proof, decode_proof(bytes));
  UFAB_ASSIGN(const LightChain chain, follow(proof.checkpoint, options, facts.checkpoint));
  UFAB_ASSIGN(const ProvenRecord proven, check_target(proof, chain));
  facts.text =
      checkpoint_text(facts.checkpoint) +
      fmt::format("block    {} at {} us since 1970\nrecord   {} of {}: {}\nid       {}\nfate     {}\n{}\n",
                  proven.height, proven.block_time_us, proven.position, proven.record_count,
                  record_type_name(proven.record.type()), proven.id.str(), proven.fate,
                  record_json(proven.record));
  facts.proven = proven;
  return facts;
}

}  // namespace ufab
