// account history: the movements of this organisation's accounts, from the index that anyone may query with
// SQL.
#include <sqlite3.h>

#include <boost/json.hpp>
#include <cstdio>
#include <memory>

#include "accounting/amount.h"
#include "accounting/snapshot/manifest.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};
struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

}  // namespace

VerbResult account_history(const Invocation& invocation, Words words) {
  bool as_json = false;
  std::uint64_t limit = 50;
  CommandLine line(
      "account history [--limit N] [--json]",
      "The newest movements of this organisation's money, offline; orders of its agent are marked.");
  line.number("--limit", limit, "how many (default 50)");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (limit < 1 || limit > 1'000'000) return Error{ErrorCode::usage, "--limit: from 1 to 1000000"};
  UFAB_ASSIGN(const Home home, invocation.home());
  UFAB_ASSIGN(const HomeConfig config, home.load_config());
  sqlite3* raw = nullptr;
  UFAB_TRY(check_whole(home.chain_folder()));
  const std::string path = home.chain_folder() + "/index.sqlite";
  const int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY, nullptr);
  const std::unique_ptr<sqlite3, CloseDatabase> database(raw);
  if (opened != SQLITE_OK) return Error{ErrorCode::io, path + ": " + sqlite3_errmsg(raw)};
  sqlite3_busy_timeout(raw, 5000);
  const char* sql =
      "SELECT m.height, m.debit, m.credit, m.amount, m.credit LIKE 'escrow:%' AND EXISTS "
      "(SELECT 1 FROM job j WHERE j.id = CAST(substr(m.credit, 8) AS INTEGER) AND j.agent IS NOT NULL) "
      "FROM movement m, organisation o "
      "WHERE o.name = ?1 AND (m.debit IN ('balance:' || o.id, 'stake:' || o.id, 'unbonding:' || o.id) "
      "OR m.credit IN ('balance:' || o.id, 'stake:' || o.id, 'unbonding:' || o.id)) "
      "ORDER BY m.height DESC, m.position DESC, m.number DESC LIMIT ?2";
  sqlite3_stmt* raw_statement = nullptr;
  if (sqlite3_prepare_v2(raw, sql, -1, &raw_statement, nullptr) != SQLITE_OK) {
    return Error{ErrorCode::io, path + ": " + sqlite3_errmsg(raw)};
  }
  const std::unique_ptr<sqlite3_stmt, CloseStatement> statement(raw_statement);
  sqlite3_bind_text(raw_statement, 1, config.organisation.c_str(), -1, SQLITE_TRANSIENT);
  sqlite3_bind_int64(raw_statement, 2, static_cast<sqlite3_int64>(limit));
  int step = SQLITE_ROW;
  boost::json::array rows;
  if (!as_json) std::printf("%8s %-16s %-16s %20s\n", "BLOCK", "FROM", "TO", "AMOUNT");
  while ((step = sqlite3_step(raw_statement)) == SQLITE_ROW) {
    const auto height = static_cast<std::uint64_t>(sqlite3_column_int64(raw_statement, 0));
    const auto text = [&](int column) {
      return std::string(reinterpret_cast<const char*>(sqlite3_column_text(raw_statement, column)));
    };
    const auto amount = static_cast<std::uint64_t>(sqlite3_column_int64(raw_statement, 3));
    const bool by_agent = sqlite3_column_int(raw_statement, 4) != 0;
    if (as_json) {
      rows.push_back(boost::json::object{{"height", height},
                                         {"debit", text(1)},
                                         {"credit", text(2)},
                                         {"amount_micro", amount},
                                         {"by_agent", by_agent}});
    } else {
      std::printf("%8llu %-16s %-16s %20s%s\n", static_cast<unsigned long long>(height), text(1).c_str(),
                  text(2).c_str(), format_amount(amount).c_str(), by_agent ? "  by the agent" : "");
    }
  }
  if (step != SQLITE_DONE) return Error{ErrorCode::io, path + ": " + sqlite3_errmsg(raw)};
  if (as_json)
    print_json({{"schema", "ufab.history/1"}, {"organisation", config.organisation}, {"movements", rows}});
  return 0;
}

}  // namespace ufab::jobs
