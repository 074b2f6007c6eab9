// account balance|transfer|stake|unstake|history.
#include <boost/json.hpp>
#include <cstdio>

#include "accounting/amount.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/owner_key.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

namespace json = boost::json;

std::string amount_of(const json::object& object, const char* key) {
  return format_amount(object.at(key).to_number<std::uint64_t>());
}

Result<std::uint64_t> amount_argument(const std::string& text) {
  auto amount = parse_amount(text);
  if (!amount) return Error{ErrorCode::usage, amount.error().message};
  if (*amount == 0) return Error{ErrorCode::usage, "the amount is zero"};
  return *amount;
}

VerbResult balance(const Invocation& invocation, Words words) {
  bool as_json = false;
  bool all = false;
  CommandLine line("account balance [--all] [--json]",
                   "Balance, stake and unbonding money of this organisation; what its jobs hold in escrow\n"
                   "and have cost; and the processor seconds that its jobs have used, halved every day:\n"
                   "whoever has used least is served first by providers that organisations compete for.");
  line.flag("--all", all, "of every organisation");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "account", {}));
  if (as_json) {
    print_json(answer.result);
    return 0;
  }
  std::printf("%-16s %20s %20s %20s %8s %20s %20s %12s\n", "ORGANISATION", "BALANCE", "STAKE", "UNBONDING",
              "SCORE", "ESCROW", "SPENT", "USED");
  for (const json::value& entry : answer.result.at("accounts").as_array()) {
    const json::object& account = entry.as_object();
    if (!all && account.at("organisation") != answer.result.at("organisation")) continue;
    std::printf("%-16s %20s %20s %20s %8llu %20s %20s %12llu\n",
                std::string(account.at("organisation").as_string()).c_str(),
                amount_of(account, "balance_micro").c_str(), amount_of(account, "stake_micro").c_str(),
                amount_of(account, "unbonding_micro").c_str(),
                static_cast<unsigned long long>(account.at("score").to_number<std::uint64_t>()),
                amount_of(account, "escrow_micro").c_str(), amount_of(account, "spent_micro").c_str(),
                static_cast<unsigned long long>(account.at("used_slot_s").to_number<std::uint64_t>()));
  }
  if (all) {
    std::printf("%-16s %20s   (minted %s, burned %s)\n", "treasury",
                amount_of(answer.result, "treasury_micro").c_str(),
                amount_of(answer.result, "minted_micro").c_str(),
                amount_of(answer.result, "burned_micro").c_str());
  }
  return 0;
}

// The number of an organisation, for a record that is signed here.
Result<OrgId> number_of(const Invocation& invocation, const std::string& organisation) {
  UFAB_ASSIGN(const Answer answer, ask_node(invocation, "account", {}));
  for (const json::value& entry : answer.result.at("accounts").as_array()) {
    const json::object& account = entry.as_object();
    if (account.at("organisation").as_string() == organisation)
      return account.at("number").to_number<OrgId>();
  }
  return Error{ErrorCode::not_found, "no organisation '" + organisation + "' on this chain"};
}

VerbResult transfer(const Invocation& invocation, Words words) {
  std::string to;
  std::string amount;
  std::string memo;
  std::string key;
  CommandLine line("account transfer ORGANISATION AMOUNT [--memo TEXT] [--key FILE]",
                   "Moves UNC to another organisation.");
  line.required("to", to, "who receives it");
  line.required("amount", amount, "UNC, for example 12.5");
  line.text("--memo", memo, "kept on the ledger");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::uint64_t micro, amount_argument(amount));
  const auto body = [&](const OwnerKey&) -> Result<RecordBody> {
    UFAB_ASSIGN(const OrgId number, number_of(invocation, to));
    return RecordBody(Transfer{number, micro, memo});
  };
  return file_as_owner(invocation, key, body,
                       {{"kind", "transfer"}, {"to", to}, {"amount_micro", micro}, {"memo", memo}},
                       format_amount(micro) + " to " + to);
}

VerbResult stake(const Invocation& invocation, const std::string& kind, Words words) {
  std::string amount;
  std::string key;
  CommandLine line("account " + kind + " AMOUNT [--key FILE]",
                   kind == "stake" ? "Pledges UNC: needed to offer a provider, to verify and to earn rewards."
                                   : "Takes a pledge back; it is released after the unbonding epochs.");
  line.required("amount", amount, "UNC, for example 200");
  line.text("--key", key, owner_key_help);
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  UFAB_ASSIGN(const std::uint64_t micro, amount_argument(amount));
  const auto body = [&](const OwnerKey&) -> Result<RecordBody> {
    if (kind == "stake") return RecordBody(Stake{micro});
    return RecordBody(Unstake{micro});
  };
  return file_as_owner(invocation, key, body, {{"kind", kind}, {"amount_micro", micro}},
                       format_amount(micro) + " " + kind + "d");
}

}  // namespace

VerbResult verb_account(const Invocation& invocation, Words words) {
  const std::string verb = words.empty() ? "" : words[0];
  const Words rest = words.empty() ? words : words.subspan(1);
  if (verb == "balance") return balance(invocation, rest);
  if (verb == "transfer") return transfer(invocation, rest);
  if (verb == "stake" || verb == "unstake") return stake(invocation, verb, rest);
  if (verb == "history") return account_history(invocation, rest);
  const char* usage = "usage: ufab account balance|transfer|stake|unstake|history";
  if (verb == "--help" || verb == "-h") {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
