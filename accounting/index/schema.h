// The tables of the index. `position` -1 in movement: the block's own start (epochs, deadlines).
#pragma once

namespace ufab {

inline constexpr int index_version = 5;

inline constexpr const char* index_schema = R"sql(
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE block(height INTEGER PRIMARY KEY, hash BLOB NOT NULL, time_us INTEGER NOT NULL,
  epoch INTEGER NOT NULL, records INTEGER NOT NULL);
CREATE TABLE record(height INTEGER, position INTEGER, id BLOB NOT NULL, type TEXT NOT NULL,
  signer INTEGER NOT NULL, sequence INTEGER NOT NULL, time_us INTEGER NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
CREATE INDEX record_id ON record(id);
CREATE TABLE organisation(id INTEGER PRIMARY KEY, name TEXT NOT NULL, key BLOB NOT NULL,
  height INTEGER NOT NULL);
CREATE TABLE account(name TEXT PRIMARY KEY, balance INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE movement(height INTEGER, position INTEGER, number INTEGER, debit TEXT NOT NULL,
  credit TEXT NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY(height, position, number)) WITHOUT ROWID;
CREATE TABLE job(id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
  budget INTEGER NOT NULL, steps INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  settled_height INTEGER, result TEXT, verified INTEGER, final_digest BLOB);
CREATE TABLE attempt(job INTEGER, attempt INTEGER, window_first INTEGER NOT NULL, reason TEXT NOT NULL,
  height INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY(job, attempt)) WITHOUT ROWID;
CREATE TABLE lease(job INTEGER, attempt INTEGER, provider INTEGER, micro_batch_first INTEGER NOT NULL,
  micro_batch_count INTEGER NOT NULL, price_per_tflop INTEGER NOT NULL, price_per_cpu_hour INTEGER NOT NULL,
  height INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY(job, attempt, provider)) WITHOUT ROWID;
CREATE TABLE receipt(job INTEGER, attempt INTEGER, window INTEGER, provider INTEGER,
  start_digest BLOB NOT NULL, end_digest BLOB NOT NULL, contribution_root BLOB NOT NULL,
  work_flop INTEGER NOT NULL, cpu_us INTEGER NOT NULL, wall_us INTEGER NOT NULL,
  memory_peak_bytes INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY(job, attempt, window, provider)) WITHOUT ROWID;
CREATE TABLE countersignature(job INTEGER, attempt INTEGER, window INTEGER, provider INTEGER, signer INTEGER,
  height INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY(job, attempt, window, provider, signer)) WITHOUT ROWID;
CREATE TABLE usage(job INTEGER, attempt INTEGER, provider INTEGER, cpu_us INTEGER NOT NULL,
  wall_us INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL, exit_code INTEGER NOT NULL,
  signal INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY(job, attempt, provider)) WITHOUT ROWID;
CREATE TABLE vote(height INTEGER, position INTEGER, job INTEGER NOT NULL, attempt INTEGER NOT NULL,
  window INTEGER NOT NULL, verifier INTEGER NOT NULL, end_digest BLOB NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
CREATE TABLE verdict(height INTEGER, position INTEGER, job INTEGER NOT NULL, attempt INTEGER NOT NULL,
  window INTEGER NOT NULL, verifier INTEGER NOT NULL, good INTEGER NOT NULL, windows_void INTEGER NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
CREATE TABLE slash(height INTEGER, position INTEGER, organisation INTEGER NOT NULL, job INTEGER NOT NULL,
  window INTEGER NOT NULL, amount INTEGER NOT NULL, burned INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
CREATE TABLE settlement(job INTEGER PRIMARY KEY, result TEXT NOT NULL, verified INTEGER NOT NULL,
  windows_paid INTEGER NOT NULL, windows_verified INTEGER NOT NULL, fee_burned INTEGER NOT NULL,
  fee_treasury INTEGER NOT NULL, refund INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL);
CREATE TABLE payment(job INTEGER, number INTEGER, organisation INTEGER NOT NULL, windows INTEGER NOT NULL,
  work_mflop INTEGER NOT NULL, cpu_us INTEGER NOT NULL, amount INTEGER NOT NULL,
  PRIMARY KEY(job, number)) WITHOUT ROWID;
CREATE TABLE reward(epoch INTEGER, organisation INTEGER, verified_mflop INTEGER NOT NULL,
  merit INTEGER NOT NULL, merit_total INTEGER NOT NULL, emission INTEGER NOT NULL, amount INTEGER NOT NULL,
  height INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY(epoch, organisation)) WITHOUT ROWID;
CREATE TABLE epoch(epoch INTEGER PRIMARY KEY, seed BLOB NOT NULL, emission INTEGER NOT NULL,
  treasury INTEGER NOT NULL, seats INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL);
CREATE TABLE refusal(record BLOB PRIMARY KEY, code TEXT NOT NULL, reason TEXT NOT NULL,
  height INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// What version 2 has beyond version 1. usage_correction: all values as corrected, by the import's record id;
// a later one has the higher (height, position).
inline constexpr const char* index_schema_2 = R"sql(
CREATE TABLE usage_import(job INTEGER, attempt INTEGER, provider INTEGER, record BLOB NOT NULL,
  cluster TEXT NOT NULL, external_id INTEGER NOT NULL, submit_us INTEGER NOT NULL, start_us INTEGER NOT NULL,
  end_us INTEGER NOT NULL, elapsed_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, processors INTEGER NOT NULL,
  nodes INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL, gpus INTEGER NOT NULL, gpu_us INTEGER NOT NULL,
  energy_j INTEGER NOT NULL, billing_s INTEGER NOT NULL, state TEXT NOT NULL, exit_code INTEGER NOT NULL,
  signal INTEGER NOT NULL, user TEXT NOT NULL, partition TEXT NOT NULL, height INTEGER NOT NULL,
  position INTEGER NOT NULL, PRIMARY KEY(job, attempt, provider)) WITHOUT ROWID;
CREATE TABLE usage_correction(import BLOB NOT NULL, signer INTEGER NOT NULL, reason TEXT NOT NULL,
  start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, elapsed_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL,
  processors INTEGER NOT NULL, nodes INTEGER NOT NULL, memory_peak_bytes INTEGER NOT NULL,
  gpus INTEGER NOT NULL, gpu_us INTEGER NOT NULL, energy_j INTEGER NOT NULL, billing_s INTEGER NOT NULL,
  state TEXT NOT NULL, exit_code INTEGER NOT NULL, signal INTEGER NOT NULL, user TEXT NOT NULL,
  partition TEXT NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
)sql";

// What version 3 has beyond version 2: enrolment. A check's verdict is in `fault` where it is bad.
inline constexpr const char* index_schema_3 = R"sql(
CREATE TABLE benchmark(organisation INTEGER, challenge_height INTEGER, lanes INTEGER NOT NULL,
  repeats INTEGER NOT NULL, elapsed_us INTEGER, mflops INTEGER, epoch_end INTEGER, verifier INTEGER,
  lane INTEGER, checked_height INTEGER, height INTEGER NOT NULL, position INTEGER NOT NULL,
  PRIMARY KEY(organisation, challenge_height)) WITHOUT ROWID;
CREATE TABLE fault(height INTEGER, position INTEGER, organisation INTEGER NOT NULL, kind TEXT NOT NULL,
  job INTEGER NOT NULL, by INTEGER NOT NULL, points INTEGER NOT NULL, points_sum INTEGER NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
CREATE TABLE standing(height INTEGER, position INTEGER, organisation INTEGER NOT NULL, status TEXT NOT NULL,
  step INTEGER NOT NULL, points INTEGER NOT NULL, until_epoch INTEGER NOT NULL,
  PRIMARY KEY(height, position)) WITHOUT ROWID;
)sql";

// What version 4 has beyond version 3: reports of links, of which an organisation's last one stands as a
// whole, and agents. allowance: as the owner set it last; job.agent: the agent's key that ordered it, NULL
// for the owner's.
inline constexpr const char* index_schema_4 = R"sql(
CREATE TABLE link_report(height INTEGER, position INTEGER, organisation INTEGER NOT NULL, peer INTEGER,
  rtt_us INTEGER NOT NULL, kbyte_per_s INTEGER NOT NULL, PRIMARY KEY(height, position, peer)) WITHOUT ROWID;
CREATE TABLE agent(key BLOB PRIMARY KEY, organisation INTEGER NOT NULL, allowance INTEGER NOT NULL,
  height INTEGER NOT NULL, position INTEGER NOT NULL, allowance_height INTEGER NOT NULL,
  revoked_height INTEGER, revoked_reason TEXT) WITHOUT ROWID;
ALTER TABLE job ADD COLUMN agent BLOB;
)sql";

// What version 5 has beyond version 4: validators. validator.ended_height: when it was replaced, left or was
// convicted. seat: of each epoch, those in office.
inline constexpr const char* index_schema_5 = R"sql(
CREATE TABLE validator(key BLOB PRIMARY KEY, organisation INTEGER NOT NULL, vrf_key BLOB NOT NULL,
  protocol INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
  ended_height INTEGER) WITHOUT ROWID;
CREATE TABLE seat(epoch INTEGER, organisation INTEGER, key BLOB NOT NULL, pledge INTEGER NOT NULL,
  power INTEGER NOT NULL, weight INTEGER NOT NULL, PRIMARY KEY(epoch, organisation)) WITHOUT ROWID;
CREATE TABLE seed_share(epoch INTEGER, organisation INTEGER, height INTEGER NOT NULL,
  position INTEGER NOT NULL, PRIMARY KEY(epoch, organisation)) WITHOUT ROWID;
CREATE TABLE conviction(key BLOB PRIMARY KEY, organisation INTEGER NOT NULL, epoch INTEGER NOT NULL,
  view INTEGER NOT NULL, reporter INTEGER NOT NULL, amount INTEGER NOT NULL, reward INTEGER NOT NULL,
  burned INTEGER NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
)sql";

// In the order of a dump; every table is dumped in the order of its primary key.
inline constexpr const char* index_tables[] = {"meta",
                                               "block",
                                               "record",
                                               "organisation",
                                               "account",
                                               "movement",
                                               "job",
                                               "attempt",
                                               "lease",
                                               "receipt",
                                               "countersignature",
                                               "usage",
                                               "vote",
                                               "verdict",
                                               "slash",
                                               "settlement",
                                               "payment",
                                               "reward",
                                               "epoch",
                                               "refusal",
                                               "usage_import",
                                               "usage_correction",
                                               "benchmark",
                                               "fault",
                                               "standing",
                                               "link_report",
                                               "agent",
                                               "validator",
                                               "seat",
                                               "seed_share",
                                               "conviction"};

}  // namespace ufab
