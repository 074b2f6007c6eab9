// The verbs of `ufab`, one function each: words after the verb in, exit status out (DESIGN section 9: 0 yes,
// 1 no, 2 usage, 3 unreachable). What a verb prints goes to stdout, errors go to stderr as "ufab: LINE".
#pragma once

#include <boost/json/object.hpp>
#include <span>
#include <string>
#include <vector>

#include "jobs/node/home.h"
#include "jobs/rpc/message.h"

namespace ufab::jobs {

// What stands before the verb on the command line.
struct Invocation {
  std::string home_option;  // --home
  [[nodiscard]] Result<Home> home() const { return Home::locate(home_option); }
};

using Words = std::span<const std::string>;
// ErrorCode decides the exit status; an int is the exit status itself.
using VerbResult = Result<int>;

VerbResult verb_init(const Invocation& invocation, Words words);
VerbResult verb_up(const Invocation& invocation, Words words);
VerbResult verb_down(const Invocation& invocation, Words words);
VerbResult verb_status(const Invocation& invocation, Words words);
VerbResult verb_provider(const Invocation& invocation, Words words);
VerbResult verb_submit(const Invocation& invocation, Words words);
VerbResult verb_queue(const Invocation& invocation, Words words);
VerbResult verb_show(const Invocation& invocation, Words words);
VerbResult verb_logs(const Invocation& invocation, Words words);
VerbResult verb_wait(const Invocation& invocation, Words words);
VerbResult verb_cancel(const Invocation& invocation, Words words);
VerbResult verb_hold(const Invocation& invocation, Words words);
VerbResult verb_release(const Invocation& invocation, Words words);
VerbResult verb_requeue(const Invocation& invocation, Words words);
VerbResult verb_sacct(const Invocation& invocation, Words words);
VerbResult verb_account(const Invocation& invocation, Words words);
VerbResult account_history(const Invocation& invocation, Words words);
VerbResult verb_agent(const Invocation& invocation, Words words);
VerbResult verb_audit(const Invocation& invocation, Words words);
VerbResult provider_status(const Invocation& invocation, Words words);
VerbResult audit_prove_verb(const Invocation& invocation, Words words);
VerbResult audit_check_verb(const Invocation& invocation, Words words);
VerbResult audit_checkpoint_verb(const Invocation& invocation, Words words);
VerbResult audit_cosign_verb(const Invocation& invocation, Words words);
VerbResult audit_bundle_verb(const Invocation& invocation, Words words);
VerbResult audit_bench(const Invocation& invocation, Words words);
VerbResult audit_export(const Invocation& invocation, Words words);
VerbResult audit_reconcile(const Invocation& invocation, Words words);
VerbResult audit_import(const Invocation& invocation, Words words);
VerbResult audit_correct(const Invocation& invocation, Words words);
VerbResult verb_node(const Invocation& invocation, Words words);
VerbResult verb_testnet(const Invocation& invocation, Words words);
VerbResult verb_validator(const Invocation& invocation, Words words);
VerbResult verb_data(const Invocation& invocation, Words words);
VerbResult verb_train(const Invocation& invocation, Words words);
VerbResult verb_sim(const Invocation& invocation, Words words);
VerbResult sim_consensus(Words words);
inline constexpr const char* sim_consensus_usage =
    "sim consensus [--seeds A..B] [--hours H] [--mutant NAME] [--json]";
VerbResult sim_ledger(Words words);
inline constexpr const char* sim_ledger_usage =
    "sim ledger [--seeds A..B] [--validators N] [--seconds S] [--mutant NAME] [--json]";
VerbResult sim_scale(Words words);
inline constexpr const char* sim_scale_usage =
    "sim scale [--validators N,…] [--delay-ms D,…] [--providers N] [--plot FILE.svg] [--json]";
VerbResult verb_model(const Invocation& invocation, Words words);

// One call to the node of the invocation's home.
[[nodiscard]] Result<Answer> ask_node(const Invocation& invocation, const std::string& method,
                                      boost::json::object params, Bytes body = {}, int timeout_s = 30);

// The path of another of this project's programs: they are installed in one folder.
[[nodiscard]] std::string program_beside(const char* name);

// Prints a JSON object on one line.
void print_json(const boost::json::object& object);
// "7"; ErrorCode::usage otherwise.
[[nodiscard]] Result<std::uint64_t> parse_job_number(const std::string& text);
// "7", of an array all its tasks; "7_3" and "7_[1-3,5]" tasks of array 7. Asks the node when there is an
// array.
[[nodiscard]] Result<std::vector<std::uint64_t>> resolve_jobs(const Invocation& invocation,
                                                              const std::string& text);
// 75 s as "1:15", 3700 s as "1:01:40".
[[nodiscard]] std::string format_duration(std::uint64_t seconds);
// Follows a job until it is settled and its results are home, with a progress line on a terminal. The exit
// status of `ufab wait`: 0 when it completed, 1 otherwise.
VerbResult follow_job(const Invocation& invocation, std::uint64_t job, bool quiet);

}  // namespace ufab::jobs
