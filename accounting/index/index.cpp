#include "accounting/index/index.h"

#include <fmt/format.h>
#include <map>
#include <unordered_map>

#include "accounting/index/schema.h"
#include "accounting/index/statement.h"

namespace ufab {

namespace {

constexpr std::size_t receipts_at_once = 50;

// The same address at every call: statements are known by it.
const char* receipts_insert() {
  static const std::string sql = [] {
    std::string text = "INSERT OR REPLACE INTO receipt VALUES";
    for (std::size_t i = 0; i < receipts_at_once; ++i) {
      text += i == 0 ? "(?,?,?,?,?,?,?,?,?,?,?,?,?)" : ",(?,?,?,?,?,?,?,?,?,?,?,?,?)";
    }
    return text;
  }();
  return sql.c_str();
}

struct Place {
  std::uint64_t height;
  std::uint64_t position;
};

}  // namespace

struct Index::Impl {
  sqlite3* db = nullptr;
  std::string path;
  bool in_transaction = false;
  std::optional<std::uint64_t> height;
  std::uint64_t job_last = 0;
  std::uint64_t org_last = 0;
  std::unordered_map<const char*, std::unique_ptr<Statement>> statements;  // by the literal's address
  bool failed = false;
  std::size_t rows_waiting = 0;
  // What a block moves, an account's together. The change is modulo 2^64, the balance that it leads to fits.
  struct Turnover {
    std::string name;
    std::uint64_t change = 0;
  };
  std::map<AccountId, Turnover> turnover;

  ~Impl() {
    if (in_transaction) sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr);
    statements.clear();
    sqlite3_close(db);
  }

  [[nodiscard]] Error error() const {
    return {ErrorCode::io, fmt::format("{}: {}", path, db == nullptr ? "out of memory" : sqlite3_errmsg(db))};
  }
  [[nodiscard]] Status execute(const char* sql) {
    if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error();
    return {};
  }
  Statement& statement(const char* sql) {
    std::unique_ptr<Statement>& found = statements[sql];
    if (found == nullptr) found = std::make_unique<Statement>(db, sql);
    return *found;
  }
  // Runs an INSERT or UPDATE; a failure is remembered until the end of the block.
  template <class... Values>
  void put(const char* sql, const Values&... values) {
    if (statement(sql).run(values...) != SQLITE_DONE) failed = true;
    ++rows_waiting;
  }
  [[nodiscard]] std::uint64_t number(const char* sql) {
    Statement& query = statement(sql);
    const std::uint64_t value =
        query.start() == SQLITE_ROW ? static_cast<std::uint64_t>(sqlite3_column_int64(query.raw(), 0)) : 0;
    query.reset();
    return value;
  }

  // An index of an earlier version becomes one of this: its ledger cannot hold any record that the new tables
  // are for.
  [[nodiscard]] Status upgrade(const Digest& chain_id, const std::string& version) {
    Statement query(db, "SELECT 1 FROM meta WHERE key='version_and_chain' AND value=?");
    const auto is_version = [&](int number) {
      const std::string before = fmt::format("{} {}", number, chain_id.hex());
      const bool found = query.start(before) == SQLITE_ROW;
      query.reset();
      return found;
    };
    int old = 1;
    while (old < index_version && !is_version(old)) ++old;
    if (old == index_version) return {};
    UFAB_TRY(execute("BEGIN"));
    if (old < 2) UFAB_TRY(execute(index_schema_2));
    if (old < 3) UFAB_TRY(execute(index_schema_3));
    if (old < 4) UFAB_TRY(execute(index_schema_4));
    UFAB_TRY(execute(index_schema_5));
    put("UPDATE meta SET value=? WHERE key='version_and_chain'", version);
    if (failed) return error();
    return execute("COMMIT");
  }

  void add_movements(const std::vector<Movement>& movements, std::uint64_t at, std::int64_t position) {
    std::uint64_t number = 0;
    for (const Movement& movement : movements) {
      Turnover& from = turnover_of(movement.debit);
      Turnover& to = turnover_of(movement.credit);
      put("INSERT INTO movement VALUES(?,?,?,?,?,?)", at, position, number++, from.name, to.name,
          movement.amount);
      from.change -= movement.amount;
      to.change += movement.amount;
    }
  }
  Turnover& turnover_of(AccountId account) {
    Turnover& found = turnover[account];
    if (found.name.empty()) found.name = account_name(account);
    return found;
  }
  void add_turnover() {
    for (const auto& [account, moved] : turnover) {
      put("INSERT INTO account VALUES(?,?) ON CONFLICT(name) DO UPDATE SET balance=balance+excluded.balance",
          moved.name, moved.change);
    }
    turnover.clear();
  }

  // One overload per record type that has rows of its own; the rest are in `record` alone.
  void add(const Genesis& b, OrgId, const Record& r, Place p) { add_organisation(b.organisation, r, p); }
  void add(const Organisation& b, OrgId, const Record& r, Place p) { add_organisation(b.name, r, p); }
  void add_organisation(const std::string& name, const Record& record, Place p) {
    put("INSERT INTO organisation VALUES(?,?,?,?)", ++org_last, name, record.signer, p.height);
  }
  void add(const KeyChange& b, OrgId signer, const Record&, Place) {
    put("UPDATE organisation SET key=? WHERE id=?", b.new_key, signer);
  }
  void add(const AgentEnrol& b, OrgId signer, const Record&, Place p) {
    put("INSERT INTO agent(key,organisation,allowance,height,position,allowance_height) VALUES(?,?,?,?,?,?)",
        b.key, signer, b.allowance, p.height, p.position, p.height);
  }
  void add(const AgentAllowance& b, OrgId signer, const Record&, Place p) {
    put("UPDATE agent SET allowance=?,allowance_height=? WHERE organisation=? AND revoked_height IS NULL",
        b.allowance, p.height, signer);
  }
  void add(const AgentRevoke& b, OrgId signer, const Record&, Place p) {
    put("UPDATE agent SET revoked_height=?,revoked_reason=? WHERE organisation=? AND revoked_height IS NULL",
        p.height, b.reason, signer);
  }
  void add(const JobOrder& b, OrgId signer, const Record& r, Place p) {
    put("INSERT INTO job(id,owner,kind,name,budget,steps,height,position,agent) "
        "VALUES(?,?,?,?,?,?,?,?,(SELECT key FROM agent WHERE key=?))",
        ++job_last, signer, job_kind_name(b.kind), b.name, b.budget, b.steps, p.height, p.position, r.signer);
  }
  void add(const JobAttempt& b, OrgId, const Record&, Place p) {
    put("INSERT INTO attempt VALUES(?,?,?,?,?,?)", b.job, b.attempt, b.window_first, b.reason, p.height,
        p.position);
  }
  void add(const Lease& b, OrgId signer, const Record&, Place p) {
    put("INSERT INTO lease VALUES(?,?,?,?,?,?,?,?,?)", b.job, b.attempt, signer, b.micro_batch_first,
        b.micro_batch_count, b.price_per_tflop, b.price_per_cpu_hour, p.height, p.position);
  }
  void add(const LeaseReturn& b, OrgId signer, const Record&, Place) {
    put("DELETE FROM lease WHERE job=? AND attempt=? AND provider=?", b.job, b.attempt, signer);
  }
  // Many rows in one statement, which starts and ends only once for them. Equal to a row at a time.
  void put_receipts(const ReceiptBatch& b, std::size_t first, Place p) {
    Statement& insert = statement(receipts_insert());
    insert.bind_from_start();
    for (std::size_t i = first; i < first + receipts_at_once; ++i) {
      const Receipt& r = b.receipts[i];
      insert.bind_next(r.job, r.attempt, r.window, r.provider, r.start_digest, r.end_digest,
                       r.contribution_root, r.work_flop, r.cpu_us, r.wall_us, r.memory_peak_bytes, p.height,
                       p.position);
    }
    if (insert.run() != SQLITE_DONE) failed = true;
    rows_waiting += receipts_at_once;
  }
  void add(const ReceiptBatch& b, OrgId, const Record&, Place p) {
    std::size_t at = 0;
    for (; b.receipts.size() - at >= receipts_at_once; at += receipts_at_once) put_receipts(b, at, p);
    for (; at < b.receipts.size(); ++at) {
      const Receipt& r = b.receipts[at];
      // The same window of an attempt can only come again after a dispute dropped it: the later one stands.
      put("INSERT OR REPLACE INTO receipt VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)", r.job, r.attempt, r.window,
          r.provider, r.start_digest, r.end_digest, r.contribution_root, r.work_flop, r.cpu_us, r.wall_us,
          r.memory_peak_bytes, p.height, p.position);
    }
  }
  void add(const Countersignature& b, OrgId signer, const Record&, Place p) {
    for (const CountersignedReceipt& item : b.receipts) {
      put("INSERT OR REPLACE INTO countersignature VALUES(?,?,?,?,?,?,?)", b.job, b.attempt, item.window,
          item.provider, signer, p.height, p.position);
    }
  }
  void add(const UsageReceipt& b, OrgId signer, const Record&, Place p) {
    put("INSERT INTO usage VALUES(?,?,?,?,?,?,?,?,?,?)", b.job, b.attempt, signer, b.cpu_us, b.wall_us,
        b.memory_peak_bytes, b.exit_code, b.signal, p.height, p.position);
  }
  void add(const Vote& b, OrgId signer, const Record&, Place p) {
    put("INSERT INTO vote VALUES(?,?,?,?,?,?,?)", p.height, p.position, b.job, b.attempt, b.window, signer,
        b.end_digest);
  }
  void add(const Verdict& b, OrgId, const Record&, Place p) {
    put("INSERT INTO verdict VALUES(?,?,?,?,?,?,?,?)", p.height, p.position, b.job, b.attempt, b.window,
        b.verifier, b.good, b.windows_void);
  }
  void add(const Slash& b, OrgId, const Record&, Place p) {
    put("INSERT INTO slash VALUES(?,?,?,?,?,?,?,?)", p.height, p.position, b.organisation, b.job, b.window,
        b.from_stake + b.from_unbonding, b.burned, b.reason);
  }
  void add(const Settlement& b, OrgId, const Record&, Place p) {
    put("INSERT INTO settlement VALUES(?,?,?,?,?,?,?,?,?,?)", b.job, job_result_name(b.result), b.verified,
        b.windows_paid, b.windows_verified, b.fee_burned, b.fee_treasury, b.refund, p.height, p.position);
    put("UPDATE job SET settled_height=?,result=?,verified=?,final_digest=? WHERE id=?", p.height,
        job_result_name(b.result), b.verified, b.final_digest, b.job);
    std::uint64_t number = 0;
    for (const Payment& payment : b.payments) {
      put("INSERT INTO payment VALUES(?,?,?,?,?,?,?)", b.job, number++, payment.organisation, payment.windows,
          payment.work_mflop, payment.cpu_us, payment.amount);
    }
  }
  void add(const Reward& b, OrgId, const Record&, Place p) {
    put("INSERT INTO reward VALUES(?,?,?,?,?,?,?,?,?)", b.epoch, b.organisation, b.verified_mflop, b.merit,
        b.merit_total, b.emission, b.amount, p.height, p.position);
  }
  void add(const Epoch& b, OrgId, const Record&, Place p) {
    put("INSERT INTO epoch VALUES(?,?,?,?,?,?,?)", b.epoch, b.seed, b.emission, b.treasury,
        static_cast<std::uint64_t>(b.seats.size()), p.height, p.position);
    for (const Seat& seat : b.seats) {
      put("INSERT INTO seat VALUES(?,?,?,?,?,?)", b.epoch, seat.organisation, seat.key, seat.pledge,
          seat.power_mflop, seat.weight_ppm);
    }
  }
  void end_candidacy(OrgId organisation, Place p) {
    put("UPDATE validator SET ended_height=? WHERE organisation=? AND ended_height IS NULL", p.height,
        organisation);
  }
  void add(const ValidatorStand& b, OrgId signer, const Record&, Place p) {
    end_candidacy(signer, p);
    put("INSERT INTO validator(key,organisation,vrf_key,protocol,height,position) VALUES(?,?,?,?,?,?)", b.key,
        signer, b.vrf_key, b.protocol, p.height, p.position);
  }
  void add(const ValidatorLeave&, OrgId signer, const Record&, Place p) { end_candidacy(signer, p); }
  void add(const SeedShareRecord& b, OrgId signer, const Record&, Place p) {
    put("INSERT INTO seed_share VALUES(?,?,?,?)", b.epoch, signer, p.height, p.position);
  }
  void add(const Conviction& b, OrgId, const Record&, Place p) {
    end_candidacy(b.organisation, p);
    put("INSERT INTO conviction VALUES(?,?,?,?,?,?,?,?,?,?)", b.key, b.organisation, b.epoch, b.view,
        b.reporter, b.from_stake + b.from_unbonding, b.reward, b.burned, p.height, p.position);
  }
  void add(const Refusal& b, OrgId, const Record&, Place p) {
    put("INSERT INTO refusal VALUES(?,?,?,?,?)", b.record, error_code_name(static_cast<ErrorCode>(b.code)),
        b.reason, p.height, p.position);
  }
  void add(const UsageImport& b, OrgId signer, const Record& r, Place p) {
    const UsageValues& u = b.usage;
    put("INSERT INTO usage_import VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", b.job,
        b.attempt, signer, record_id(r), u.cluster, u.external_id, u.submit_us, u.start_us, u.end_us,
        u.elapsed_us, u.cpu_us, u.processors, u.nodes, u.memory_peak_bytes, u.gpus, u.gpu_us, u.energy_j,
        u.billing_s, u.state, u.exit_code, u.signal, u.user, u.partition, p.height, p.position);
  }
  void add(const Correction& b, OrgId signer, const Record&, Place p) {
    for (const UsageValues& u : b.usage) {
      put("INSERT INTO usage_correction VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", b.record, signer,
          b.reason, u.start_us, u.end_us, u.elapsed_us, u.cpu_us, u.processors, u.nodes, u.memory_peak_bytes,
          u.gpus, u.gpu_us, u.energy_j, u.billing_s, u.state, u.exit_code, u.signal, u.user, u.partition,
          p.height, p.position);
    }
  }
  void add(const ProviderBenchmark& b, OrgId signer, const Record&, Place p) {
    put("INSERT INTO benchmark(organisation,challenge_height,lanes,repeats,height,position) "
        "VALUES(?,?,?,?,?,?)",
        signer, b.challenge_height, static_cast<std::uint64_t>(b.lanes.size()), b.repeats, p.height,
        p.position);
  }
  void add(const BenchmarkCredit& b, OrgId, const Record&, Place) {
    put("UPDATE benchmark SET elapsed_us=?,mflops=?,epoch_end=? WHERE organisation=? AND challenge_height=?",
        b.elapsed_us, b.mflops, b.epoch_end, b.organisation, b.challenge_height);
  }
  void add(const BenchmarkDuty& b, OrgId, const Record&, Place) {
    put("UPDATE benchmark SET verifier=?,lane=? WHERE organisation=? AND challenge_height=?", b.verifier,
        b.lane, b.organisation, b.challenge_height);
  }
  void add(const BenchmarkCheck& b, OrgId, const Record&, Place p) {
    put("UPDATE benchmark SET checked_height=? WHERE organisation=? AND challenge_height=?", p.height,
        b.organisation, b.challenge_height);
  }
  void add(const Fault& b, OrgId, const Record&, Place p) {
    put("INSERT INTO fault VALUES(?,?,?,?,?,?,?,?)", p.height, p.position, b.organisation,
        fault_kind_name(b.kind), b.job, b.by, b.points, b.points_sum);
  }
  void add(const StandingChange& b, OrgId, const Record&, Place p) {
    put("INSERT INTO standing VALUES(?,?,?,?,?,?,?)", p.height, p.position, b.organisation,
        standing_status_name(b.status), b.step, b.points, b.until_epoch);
  }
  void add(const LinkReport& b, OrgId signer, const Record&, Place p) {
    for (const ReportedLink& link : b.peers) {
      put("INSERT INTO link_report VALUES(?,?,?,?,?,?)", p.height, p.position, signer, link.organisation,
          link.rtt_us, link.kbyte_per_s);
    }
  }
  template <class Other>
  void add(const Other&, OrgId, const Record&, Place) {}
};

Index::Index(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Index::~Index() = default;

Result<std::unique_ptr<Index>> Index::open(const std::string& path, const Digest& chain_id) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  // NOMUTEX: an Index is not thread-safe anyway, and SQLite would lock at every bound value.
  constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &impl->db, flags, nullptr) != SQLITE_OK) return impl->error();
  sqlite3_busy_timeout(impl->db, 2000);
  // NORMAL: a power cut may take the last transactions, which come back from the log.
  UFAB_TRY(impl->execute("PRAGMA journal_mode=WAL"));
  UFAB_TRY(impl->execute("PRAGMA synchronous=NORMAL"));
  UFAB_TRY(impl->execute("PRAGMA cache_size=-16384"));
  const std::string version = fmt::format("{} {}", index_version, chain_id.hex());
  if (impl->number("SELECT count(*) FROM sqlite_master") == 0) {
    UFAB_TRY(impl->execute("BEGIN"));
    UFAB_TRY(impl->execute(index_schema));
    UFAB_TRY(impl->execute(index_schema_2));
    UFAB_TRY(impl->execute(index_schema_3));
    UFAB_TRY(impl->execute(index_schema_4));
    UFAB_TRY(impl->execute(index_schema_5));
    impl->put("INSERT INTO meta VALUES('version_and_chain',?)", version);
    if (impl->failed) return impl->error();
    UFAB_TRY(impl->execute("COMMIT"));
  }
  UFAB_TRY(impl->upgrade(chain_id, version));
  Statement& query = impl->statement("SELECT value FROM meta WHERE key='version_and_chain'");
  const bool found = query.start() == SQLITE_ROW;
  const std::string stored =
      found ? reinterpret_cast<const char*>(sqlite3_column_text(query.raw(), 0)) : std::string("nothing");
  query.reset();
  if (stored != version) {
    return Error{
        ErrorCode::conflict,
        fmt::format("{}: it is an index of another version or chain; remove it to have it rebuilt", path)};
  }
  if (impl->number("SELECT count(*) FROM block") > 0)
    impl->height = impl->number("SELECT max(height) FROM block");
  impl->job_last = impl->number("SELECT coalesce(max(id),0) FROM job");
  impl->org_last = impl->number("SELECT coalesce(max(id),0) FROM organisation");
  return std::unique_ptr<Index>(new Index(std::move(impl)));
}

std::optional<std::uint64_t> Index::peek_height(const std::string& path) {
  sqlite3* db = nullptr;
  std::optional<std::uint64_t> height;
  if (sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK) {
    Statement query(db, "SELECT max(height) FROM block");  // finalised before the connection closes
    if (query.start() == SQLITE_ROW && sqlite3_column_type(query.raw(), 0) == SQLITE_INTEGER) {
      height = static_cast<std::uint64_t>(sqlite3_column_int64(query.raw(), 0));
    }
  }
  sqlite3_close(db);
  return height;
}

std::optional<std::uint64_t> Index::height() const {
  return impl_->height;
}

Status Index::add(const BlockHeader& header, const Digest& hash, const std::vector<IndexedRecord>& records,
                  const std::vector<Movement>& start_movements) {
  Impl& db = *impl_;
  UFAB_ASSERT(header.height == (db.height ? *db.height + 1 : 0));
  if (!db.in_transaction) {
    UFAB_TRY(db.execute("BEGIN"));
    db.in_transaction = true;
  }
  db.put("INSERT INTO block VALUES(?,?,?,?,?)", header.height, hash, header.time_us, header.epoch,
         header.record_count);
  db.add_movements(start_movements, header.height, -1);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const IndexedRecord& item = records[i];
    const Record& record = *item.record;
    const Place place{header.height, i};
    db.put("INSERT INTO record VALUES(?,?,?,?,?,?,?)", header.height, static_cast<std::uint64_t>(i), item.id,
           record_type_name(record.type()), item.signer, record.sequence, record.time_us);
    if (item.movements != nullptr) {
      db.add_movements(*item.movements, header.height, static_cast<std::int64_t>(i));
    }
    const auto* refusal =
        i + 1 < records.size() ? std::get_if<Refusal>(&records[i + 1].record->body) : nullptr;
    if (refusal != nullptr && refusal->record == item.id) continue;
    std::visit([&](const auto& body) { db.add(body, item.signer, record, place); }, record.body);
  }
  db.add_turnover();
  if (db.failed) return db.error();
  db.height = header.height;
  return {};
}

Status Index::flush() {
  if (!impl_->in_transaction) return {};
  UFAB_TRY(impl_->execute("COMMIT"));
  impl_->in_transaction = false;
  impl_->rows_waiting = 0;
  return {};
}

std::size_t Index::rows_waiting() const {
  return impl_->rows_waiting;
}

Result<std::optional<RecordPlace>> Index::find_record(const RecordId& id) const {
  Statement& query = impl_->statement("SELECT height,position FROM record WHERE id=?");
  const int result = query.start(id);
  std::optional<RecordPlace> place;
  if (result == SQLITE_ROW) {
    place = RecordPlace{static_cast<std::uint64_t>(sqlite3_column_int64(query.raw(), 0)),
                        static_cast<std::uint32_t>(sqlite3_column_int64(query.raw(), 1))};
  }
  query.reset();
  if (result != SQLITE_ROW && result != SQLITE_DONE) return impl_->error();
  return place;
}

Result<std::string> Index::dump() const {
  std::string text;
  for (const char* table : index_tables) {
    // Without ORDER BY a table scan is in key order: every table has an explicit primary key.
    Statement query(impl_->db, fmt::format("SELECT * FROM {}", table).c_str());
    if (query.raw() == nullptr) return impl_->error();
    text += fmt::format("[{}]\n", table);
    int result = query.start();
    for (; result == SQLITE_ROW; result = query.next()) {
      for (int column = 0; column < sqlite3_column_count(query.raw()); ++column) {
        if (column > 0) text += '|';
        if (sqlite3_column_type(query.raw(), column) == SQLITE_BLOB) {
          const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(query.raw(), column));
          text += to_hex({data, static_cast<std::size_t>(sqlite3_column_bytes(query.raw(), column))});
        } else if (const unsigned char* value = sqlite3_column_text(query.raw(), column); value != nullptr) {
          text += reinterpret_cast<const char*>(value);
        }
      }
      text += '\n';
    }
    if (result != SQLITE_DONE) return impl_->error();
  }
  return text;
}

}  // namespace ufab
