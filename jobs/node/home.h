// A home: everything that belongs to one organisation's node, under one folder ($UFAB_HOME, --home).
//
//   config.toml   who we are, where we listen, whom we follow, what we offer (below)
//   org.key       Ed25519 seed of the organisation, 0600; may be kept elsewhere once there is an agent's
//   agent.key     Ed25519 seed of its agent, 0600 (`ufab agent enroll`)
//   validator.key Ed25519 seed of its validator, 0600 (`ufab validator stand`); validator.key.NAME: earlier
//   votes.NAME.log, votes.NAME.floor: what each of them has signed (jobs/node/vote_file.h)
//   chain/        the ledger (accounting/ledger.h); in snapshots/ those that this node hands out
//   jobs/N/       our part in job N: what we submitted, what we run, outputs
//   batch/        the local batch system's runs; slurm/ and the like: another's
//   imports/      runs of Slurm whose use is not on the ledger yet, an empty file for each
//   outbox/       what submissions need until it is durable in jobs/N (jobs/node/submission_journal.h)
//   blobs/        corpora by digest
//   speed.json    what `ufab provider bench` measured; bench/, bench-checks/: benchmarks under way
//   node.sock     the owner's socket; node.lock, node.log beside it
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/base/sign.h"
#include "fabric/net/endpoint.h"
#include "jobs/node/isolation.h"

namespace ufab::jobs {

// Nodes of the chain to begin with, and the key that each shows: printed by `ufab status`, given to
// `ufab init --join`. They are tried in turn; a node that has several keys is there with each.
// Text form: "ufab1:HOST:PORT:KEY:GENESIS", and for each further node ",HOST:PORT:KEY"; keys and the genesis
// digest in hexadecimal.
inline constexpr std::size_t ticket_nodes_max = 32;
struct JoinTicket {
  struct Node {
    Endpoint endpoint;
    PublicKey key;
    friend bool operator==(const Node&, const Node&) = default;
  };
  std::vector<Node> nodes;  // 1 to ticket_nodes_max
  Digest genesis;
  [[nodiscard]] std::string str() const;
  [[nodiscard]] static Result<JoinTicket> parse(std::string_view text);
  friend bool operator==(const JoinTicket&, const JoinTicket&) = default;
};

inline constexpr std::uint32_t provider_slots_max = 65536;
inline constexpr std::uint64_t provider_memory_mib_max = std::uint64_t{1} << 32;

inline constexpr std::uint32_t keep_days_max = 36'500;
struct ProviderConfig {
  std::uint32_t slots = 1;  // processors offered
  std::uint64_t memory_mib = 0;
  std::uint64_t price_micro_per_tflop = 2000;
  std::uint64_t price_micro_per_cpu_hour = 50000;
  std::string trainer;  // path of ufab-train; empty: beside this program
  // Who runs the scripts: "local", or the name of a plug-in (jobs/batch/plugin.h) with its section of
  // settings, [provider.slurm] for example.
  std::string batch = "local";
  std::map<std::string, std::string> batch_settings;
  IsolationConfig isolation;
  // Seconds between two looks whether the machines still have what is offered; 0: never.
  std::uint32_t capacity_check_s = 60;
  // How long other organisations' jobs are kept after they have ended (housekeeping.h); 0: for ever.
  std::uint32_t keep_days = 14;
  // Seconds between two measurements of the link to another provider; 0: none is measured.
  std::uint32_t link_check_s = 3600;
};

// Limits on this organisation's own running jobs; 0: none.
struct QueueConfig {
  std::uint32_t jobs_max = 0;
  std::uint32_t slots_max = 0;         // processors in use, all providers together
  std::uint64_t escrow_max_micro = 0;  // held in escrow by running jobs
  std::uint64_t budget_max_micro = 0;  // that, and what all jobs on this chain have cost so far
};

struct HomeConfig {
  std::string organisation;  // [a-z][a-z0-9-]{0,31}
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;
  std::optional<JoinTicket> follow;        // nullopt: this node founded the chain
  bool snapshot = true;                    // begin with one where the chain is long
  std::optional<ProviderConfig> provider;  // nullopt: no provider
  QueueConfig queue;
};

// Processors for this node's batch runs: the provider's, or all of them on a node that only verifies.
[[nodiscard]] std::uint32_t run_slots(const HomeConfig& config);

// The keys that a home has.
struct HomeKeys {
  std::optional<KeyPair> owner;  // the organisation's own
  std::optional<KeyPair> agent;  // whether the chain knows it is another question
};

class Home {
 public:
  explicit Home(std::string path) : path_(std::move(path)) {}
  // --home, $UFAB_HOME, ~/.ufab in this order; absolute.
  [[nodiscard]] static Result<Home> locate(const std::string& option);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] std::string chain_folder() const { return file("chain"); }
  [[nodiscard]] std::string batch_folder(const std::string& system) const {
    return file(system == "local" ? "batch" : system);
  }
  // What that validator's key has signed (jobs/node/vote_file.h).
  [[nodiscard]] std::string votes(const PublicKey& validator) const {
    return file("votes." + validator.hex().substr(0, 12) + ".log");
  }
  [[nodiscard]] std::string socket() const { return file("node.sock"); }
  [[nodiscard]] std::string job_folder(std::uint64_t job) const {
    return file("jobs/" + std::to_string(job));
  }
  [[nodiscard]] std::string blob(const Digest& digest) const { return file("blobs/" + digest.hex()); }
  [[nodiscard]] bool exists() const;

  [[nodiscard]] Result<HomeConfig> load_config() const;
  [[nodiscard]] Status save_config(const HomeConfig& config) const;
  [[nodiscard]] Result<KeyPair> load_key() const;  // the organisation's own
  // ErrorCode::not_found when there is neither; a key that others may read or that is damaged is an error.
  [[nodiscard]] Result<HomeKeys> load_keys() const;
  // The validator's key with this public half: validator.key or an earlier one, as long as it is not retired.
  // Empty when it is not here; one that others may read or that is damaged is an error.
  [[nodiscard]] Result<std::optional<KeyPair>> load_validator_key(const PublicKey& key) const;

 private:
  std::string path_;
};

// Lower-case letter, then letters, digits and dashes, at most 32 characters.
[[nodiscard]] Status check_organisation_name(std::string_view name);

}  // namespace ufab::jobs
