// audit checkpoint|bundle|cosign|prove|check: what an auditor carries to another machine, and checks there.
#include <boost/json.hpp>
#include <cstdio>

#include "accounting/audit/audit.h"
#include "accounting/audit/proof.h"
#include "accounting/audit/witness.h"
#include "fabric/base/file.h"
#include "jobs/cli/audit_arguments.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

// Up to the first comma, which is taken away too.
std::string_view next_word(std::string_view& rest) {
  const std::string_view word = rest.substr(0, rest.find(','));
  rest.remove_prefix(std::min(rest.size(), word.size() + 1));
  return word;
}

Result<std::vector<PublicKey>> parse_witnesses(const std::string& text) {
  std::vector<PublicKey> keys;
  for (std::string_view rest = text; !rest.empty();) {
    auto key = PublicKey::parse(next_word(rest));
    if (!key) return key.error().within("--witness");
    if (std::find(keys.begin(), keys.end(), *key) != keys.end())
      return Error{ErrorCode::usage, "--witness: " + key->hex() + " is named twice"};
    keys.push_back(*key);
  }
  return keys;
}

json::object checkpoint_json(const CheckpointFacts& facts) {
  json::array validators, witnesses;
  for (const Seat& seat : facts.validators) {
    validators.push_back(json::object{{"organisation", seat.organisation},
                                      {"key", seat.key.hex()},
                                      {"weight_ppm", seat.weight_ppm},
                                      {"pledge_micro", seat.pledge}});
  }
  for (const PublicKey& witness : facts.witnesses) witnesses.push_back(json::string(witness.hex()));
  json::object made{{"schema", "ufab.audit-check/1"},
                    {"chain_id", facts.chain_id.str()},
                    {"chain_name", facts.chain_name},
                    {"head_height", facts.head_height},
                    {"head_hash", facts.head_hash.str()},
                    {"state_root", facts.state_root.str()},
                    {"head_time_us", facts.head_time_us},
                    {"epoch", facts.epoch},
                    {"links", facts.links},
                    {"validators", std::move(validators)},
                    {"witnesses", std::move(witnesses)}};
  if (facts.validators.empty()) made["producer_key"] = facts.producer_key.hex();
  return made;
}

json::object proven_json(const ProvenRecord& proven) {
  return {{"height", proven.height},
          {"position", proven.position},
          {"id", proven.id.str()},
          {"type", record_type_name(proven.record.type())},
          {"refused", proven.refused},
          {"fate", proven.fate},
          {"block_time_us", proven.block_time_us},
          {"record", json::parse(record_json(proven.record))}};
}

}  // namespace

Result<std::optional<Digest>> chain_argument(const std::string& text) {
  if (text.empty()) return std::optional<Digest>{};
  auto digest = Digest::parse(text);
  if (!digest) return Error{ErrorCode::usage, "--chain: " + digest.error().message};
  return std::optional<Digest>(*digest);
}

VerbResult audit_prove_verb(const Invocation& invocation, Words words) {
  std::string reference, output;
  CommandLine line(
      "audit prove REF -o FILE",
      "Writes a self-contained proof that a record is on the chain. REF is BLOCK/POSITION, a record's "
      "id, or job/N for the settlement of job N.");
  line.required("ref", reference, "the record");
  line.text("-o,--output", output, "the file to write");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (output.empty()) return Error{ErrorCode::usage, "give -o FILE"};
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const Bytes proof, audit_prove(home.chain_folder(), reference));
  UFAB_TRY(write_file_atomic(output, proof));
  std::printf("%s: %zu bytes; `ufab audit check %s` needs nothing else\n", output.c_str(), proof.size(),
              output.c_str());
  return 0;
}

VerbResult audit_checkpoint_verb(const Invocation& invocation, Words words) {
  std::string output;
  std::uint64_t since = 0;
  CommandLine line(
      "audit checkpoint -o FILE [--since HEIGHT]",
      "Writes what tells somebody who knows the chain's id its head and its validators: the changes of "
      "validators with the votes for them. Checks the whole ledger of this home on the way.");
  line.text("-o,--output", output, "the file to write");
  line.number("--since", since,
              "with the headers after this block: a witness wants those after its last head");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (output.empty()) return Error{ErrorCode::usage, "give -o FILE"};
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(
      const Bytes file,
      audit_checkpoint(home.chain_folder(), line.given("--since") ? std::optional(since) : std::nullopt));
  UFAB_TRY(write_file_atomic(output, file));
  std::printf("%s: %zu bytes; `ufab audit check %s --chain ID` needs nothing else\n", output.c_str(),
              file.size(), output.c_str());
  return 0;
}

VerbResult audit_check_verb(const Invocation&, Words words) {
  std::string file, chain, witnesses;
  std::uint64_t witnesses_min = 0;
  bool as_json = false;
  CommandLine line("audit check FILE [--chain DIGEST] [--witness KEY,… --witnesses-min N] [--json]",
                   "Checks a checkpoint or a proof with nothing but its file.");
  line.required("file", file, "what `ufab audit checkpoint` or `ufab audit prove` wrote");
  line.text("--chain", chain, "the chain's id, learned from somebody you trust");
  line.text("--witness", witnesses, "public keys of witnesses that you trust");
  line.number("--witnesses-min", witnesses_min, "so many of them must have cosigned (default: all)");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  CheckOptions options;
  UFAB_ASSIGN(options.chain_id, chain_argument(chain));
  UFAB_ASSIGN(options.witnesses, parse_witnesses(witnesses));
  options.witnesses_min = line.given("--witnesses-min") ? witnesses_min : options.witnesses.size();
  UFAB_ASSIGN(const Bytes bytes, read_file(file, proof_size_max));
  auto facts = audit_check(bytes, options);
  if (!facts) return facts.error().within(file);
  if (as_json) {
    json::object object = checkpoint_json(facts->checkpoint);
    if (facts->proven) object["proven"] = proven_json(*facts->proven);
    print_json(object);
    return 0;
  }
  while (facts->text.ends_with('\n')) facts->text.pop_back();
  std::puts(facts->text.c_str());
  return 0;
}

VerbResult audit_cosign_verb(const Invocation&, Words words) {
  std::string file, key_file, state, chain;
  CommandLine line(
      "audit cosign CHECKPOINT --key FILE [--state FILE] [--chain DIGEST]",
      "Adds a witness's cosignature to a checkpoint that extends the last one that it cosigned.");
  line.required("checkpoint", file, "the file; it is replaced");
  line.text("--key", key_file, "the witness's secret key, 64 hexadecimal digits, mode 0600");
  line.text("--state", state, "what was cosigned last; keep it (default: the key's file and .cosigned)");
  line.text("--chain", chain, "the chain's id, learned from somebody you trust");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (key_file.empty()) return Error{ErrorCode::usage, "give --key FILE"};
  UFAB_ASSIGN(const auto expected, chain_argument(chain));
  UFAB_ASSIGN(const KeyPair key, KeyPair::load(key_file));
  UFAB_ASSIGN(const Bytes bytes, read_file(file, checkpoint_size_max));
  const auto cosigned = witness_cosign(bytes, key, state.empty() ? key_file + ".cosigned" : state, expected);
  if (!cosigned) return cosigned.error().within(file);
  UFAB_TRY(write_file_atomic(file, *cosigned));
  std::printf("%s: cosigned by %s\n", file.c_str(), key.public_key().hex().c_str());
  return 0;
}

VerbResult audit_bundle_verb(const Invocation& invocation, Words words) {
  std::string output;
  CommandLine line(
      "audit bundle -o FOLDER",
      "Writes what an auditor on another machine needs into a new folder: all blocks with their votes, "
      "the checkpoint, and how to check them.");
  line.text("-o,--output", output, "the folder to make");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (output.empty()) return Error{ErrorCode::usage, "give -o FOLDER"};
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const AuditSummary summary, audit_bundle(home.chain_folder(), output));
  std::printf("%s: %llu blocks of chain %s; `ufab audit verify --bundle %s --chain ID` checks all of it\n",
              output.c_str(), static_cast<unsigned long long>(summary.blocks), summary.chain_id.str().c_str(),
              output.c_str());
  return 0;
}

}  // namespace ufab::jobs
