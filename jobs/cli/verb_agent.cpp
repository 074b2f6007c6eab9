// agent enroll|allowance|revoke|status.
#include <boost/json.hpp>
#include <cstdio>

#include "accounting/records/codec.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/owner_key.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

Result<MicroUnc> allowance_argument(const std::string& name, const std::string& text) {
  const auto amount = parse_amount(text);
  if (!amount) return Error{ErrorCode::usage, name + ": " + amount.error().message};
  return *amount;
}

// What the owner does next, so that the node works with the agent's key alone.
void print_next_step(const json::object& status) {
  if (status.at("has_owner_key").as_bool()) {
    std::puts("next: `ufab down`, move org.key to where only its owner reaches it, `ufab up`");
  } else {
    std::puts("next: `ufab down` and `ufab up`, so that this node's links show the agent's key");
  }
}

VerbResult enroll(const Invocation& invocation, Words words) {
  std::string allowance = "0";
  std::string key;
  CommandLine line(
      "agent enroll [--allowance UNC] [--key FILE]",
      "Makes agent.key in this home and enrols it: from then on the node signs with it what it "
      "does every day. It cannot move money out, stake, or change keys; its orders take from the "
      "allowance, and what they do not spend comes back to it.");
  line.text("--allowance", allowance, "what its orders may take in all (default 0: it can order nothing)");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const MicroUnc micro, allowance_argument("--allowance", allowance));
  UFAB_ASSIGN(const Answer status, ask_node(invocation, "node.status", {}));
  UFAB_ASSIGN(const std::string organisation, json_text(status.result, "organisation"));
  const auto body = [&](const OwnerKey& owner) -> Result<RecordBody> {
    if (owner.organisation != organisation) {
      return Error{ErrorCode::denied,
                   "that is the key of " + owner.organisation + ", and this home is " + organisation + "'s"};
    }
    UFAB_ASSIGN(const Answer answer, ask_node(invocation, "agent.offer", {}));
    UFAB_ASSIGN(AgentEnrol enrol, decode_fields<AgentEnrol>(answer.body, "the node's answer"));
    enrol.allowance = micro;
    return RecordBody(enrol);
  };
  UFAB_ASSIGN(const int done,
              file_as_owner(invocation, key, body, {{"kind", "agent_enroll"}, {"allowance_micro", micro}},
                            "agent of " + organisation + " enrolled, allowance " + format_amount(micro)));
  print_next_step(status.result);
  return done;
}

VerbResult set_allowance(const Invocation& invocation, Words words) {
  std::string amount;
  std::string key;
  CommandLine line("agent allowance UNC [--key FILE]",
                   "Sets what the agent's orders may take from now on, whatever was left; refunds of orders "
                   "under way come on top.");
  line.required("amount", amount, "UNC, for example 50; 0 keeps the agent from ordering");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const MicroUnc micro, allowance_argument("allowance", amount));
  return file_as_owner(
      invocation, key, [&](const OwnerKey&) { return Result<RecordBody>(RecordBody(AgentAllowance{micro})); },
      {{"kind", "agent_allowance"}, {"allowance_micro", micro}}, "allowance " + format_amount(micro));
}

VerbResult revoke(const Invocation& invocation, Words words) {
  std::string reason;
  std::string key;
  CommandLine line("agent revoke [--reason TEXT] [--key FILE]",
                   "Ends the agent: its key signs nothing from that block on, and never again. Its orders go "
                   "on. With --key any node of the chain will do, not only the one that lost its key.");
  line.text("--reason", reason, "kept on the ledger");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  return file_as_owner(
      invocation, key, [&](const OwnerKey&) { return Result<RecordBody>(RecordBody(AgentRevoke{reason})); },
      {{"kind", "agent_revoke"}, {"reason", reason}}, "agent revoked");
}

VerbResult show_status(const Invocation& invocation, Words words) {
  bool as_json = false;
  CommandLine line("agent status [--json]",
                   "The agent of this home's organisation, what is left of its allowance, and which key this "
                   "node signs with.");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer status, ask_node(invocation, "node.status", {}));
  UFAB_ASSIGN(const Answer accounts, ask_node(invocation, "account", {}));
  const json::value name = status.result.at("organisation");
  json::value agent;  // null: none
  for (const json::value& entry : accounts.result.at("accounts").as_array()) {
    const json::object& account = entry.as_object();
    if (account.at("organisation") == name && account.contains("agent")) agent = account.at("agent");
  }
  const json::value* signs_with = status.result.if_contains("signs_with");
  const bool has_owner_key = status.result.at("has_owner_key").as_bool();
  if (as_json) {
    print_json({{"schema", "ufab.agent/1"},
                {"organisation", name},
                {"agent", agent},
                {"signs_with", signs_with == nullptr ? json::value() : *signs_with},
                {"has_owner_key", has_owner_key}});
    return 0;
  }
  std::printf("organisation  %s\n", std::string(name.as_string()).c_str());
  if (agent.is_object()) {
    const json::object& a = agent.as_object();
    const auto amount = [&](const char* field) {
      return format_amount(a.at(field).to_number<std::uint64_t>());
    };
    std::printf("agent         %s\n", std::string(a.at("key").as_string()).c_str());
    std::printf("allowance     %s left, %s in escrow, %s spent\n", amount("allowance_micro").c_str(),
                amount("escrow_micro").c_str(), amount("spent_micro").c_str());
  } else {
    std::puts("agent         none: the organisation's own key signs everything");
  }
  std::string with = "can sign nothing: the chain does not know its agent's key as an agent's";
  if (signs_with != nullptr) {
    with = signs_with->as_string() == "agent" ? "signs with the agent's key"
                                              : "signs with the organisation's own key";
  }
  std::printf("this node     %s; org.key is %s\n", with.c_str(), has_owner_key ? "here" : "not here");
  return 0;
}

}  // namespace

VerbResult verb_agent(const Invocation& invocation, Words words) {
  const std::string verb = words.empty() ? "" : words[0];
  const Words rest = words.empty() ? words : words.subspan(1);
  if (verb == "enroll") return enroll(invocation, rest);
  if (verb == "allowance") return set_allowance(invocation, rest);
  if (verb == "revoke") return revoke(invocation, rest);
  if (verb == "status") return show_status(invocation, rest);
  const char* usage = "usage: ufab agent enroll|allowance|revoke|status";
  if (verb == "--help" || verb == "-h") {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
