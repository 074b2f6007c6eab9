// Whole clusters of the production code under simulated time, network and disks. One seed fixes everything:
// who pledges what, what the network loses, who dies when, and what clients submit.
//
// A run is a time of chaos (loss, delay, duplicates, partitions both ways and one way, crashes at any call;
// disks that are full for a while, ledgers that rot or lose their end while another node has the blocks,
// clocks that are off by less than blocks' times may be; and one validator that a quorum can do without loses
// its disk, has its vote log rot or its clock far off) and then calm, in which a quorum must make progress.
// In half of the runs one validator that a quorum can do without lies instead: it runs twice with one key,
// each of the two talking to some of the others (so it proposes and votes twice), withholds, damages and
// repeats messages, and files no shares of the seed. Honest nodes file what they come upon against it.
// Meanwhile the organisations work for each other, and one more, which has no validator, cheats at it
// (workload.h). Checked throughout:
// - two nodes never have different blocks at one height, so their state roots agree too;
// - minted − burned is the sum of all balances after every block;
// - all that books.h lists: receipts, settlements, verdicts, emission and every balance;
// - every job that was ordered settles once the chaos is over;
// - what a client was told is final stays, and is there once;
// - certificates and proposals hold for whoever checks them;
// - nobody honest is penalised or slashed, no evidence against an honest validator exists, nobody votes
// without its log.
#pragma once

#include <map>
#include <set>
#include <string>

#include "accounting/replica/sim/books.h"
#include "accounting/replica/sim/founding.h"
#include "accounting/replica/sim/node.h"
#include "accounting/replica/sim/workload.h"

namespace ufab::sim {

enum class Lies { never, sometimes, always };  // sometimes: in every second run
// What befalls a validator that a quorum can do without; not while another lies.
enum class Misfortune { none, any, clock, votes, disk, misdirected };

struct ClusterOptions {
  std::size_t validators = 4;
  std::uint64_t chaos_s = 60;
  std::uint64_t calm_s = 180;  // at most; progress ends it
  std::uint64_t records_per_second = 20;
  bool faults = true;
  Misfortune misfortune = Misfortune::any;
  Lies lies = Lies::sometimes;
  bool jobs = true;  // and somebody who cheats at them
  std::uint64_t delay_min_us = 1'000, delay_max_us = 50'000;
  std::uint64_t gather_ms = ReplicaOptions().gather_ms;
};

struct ClusterReport {
  std::uint64_t seed = 0;
  std::string violation;  // empty: none
  std::uint64_t height = 0, epochs = 0, views = 0;
  std::uint64_t submitted = 0, final_records = 0;
  std::uint64_t crashes = 0, partitions = 0, messages = 0, bytes = 0;
  // Whole disks lost; vote logs and ledgers damaged; stops because a write did not fit; clocks far off.
  std::uint64_t disks_lost = 0, votes_damaged = 0, ledgers_damaged = 0, disks_full = 0, clocks_off = 0;
  std::uint64_t misdirected = 0, misdirected_found = 0;  // writes; restarts that found what they had done
  std::uint64_t lies = 0;                                // messages that were withheld, damaged or repeated
  std::uint64_t evidence = 0;                            // come upon by honest nodes
  std::uint64_t convictions = 0, seed_shares = 0;
  BooksReport books;
  std::uint64_t simulated_us = 0;
  // Of records: from submission to final at that node, sorted. Only of those submitted once every node has a
  // block: nodes start one after the other, and who proposes, or misses a proposal, before a quorum is up
  // waits for a time-out.
  std::vector<std::uint64_t> finality_us;
};

class Cluster {
 public:
  Cluster(std::uint64_t seed, const ClusterOptions& options);
  [[nodiscard]] ClusterReport run();
  // The blocks of that node, encoded: its ledger's log.
  [[nodiscard]] const std::vector<Bytes>& log(std::size_t node) const { return nodes_[node]->log(); }

 private:
  struct Delivery {
    std::size_t from, to;
    ReplicaChannel channel;
    SharedBytes message;
  };
  struct Alarm {
    std::size_t node;
    std::uint64_t life;
    ReplicaAlarm alarm;
    std::uint64_t token;
  };
  struct Restart {
    std::size_t node;
  };
  struct Submission {};
  struct Mischance {};
  struct Cheating {};
  struct Room {  // on a disk that was full
    std::size_t node;
  };
  using What = std::variant<Delivery, Alarm, Restart, Submission, Mischance, Cheating, Room>;
  void schedule(std::uint64_t after_us, What what);
  void add_node(std::size_t member, const Surroundings& around);
  void choose_liar();
  void begin_jobs();
  void transmit(std::size_t from, std::size_t to, ReplicaChannel channel, SharedBytes message);
  // What the liar makes of it; null: nothing is sent.
  [[nodiscard]] SharedBytes meddle(const SharedBytes& message);
  [[nodiscard]] bool honest(std::size_t node) const { return member_of_[node] != liar_; }
  // Files at that node with the owner's key of that organisation; its sequence number, if it was taken.
  std::optional<std::uint64_t> file(std::size_t node, std::size_t member, std::uint64_t sequence,
                                    RecordBody body);
  void file(std::size_t node, RecordBody body);
  void do_duties(std::size_t node);
  void do_jobs(std::size_t node);
  void handle(const Delivery& event);
  void handle(const Alarm& event);
  void handle(const Restart& event);
  void handle(const Submission& event);
  void handle(const Mischance& event);
  void handle(const Cheating& event);
  void handle(const Room& event);
  void cut_network();
  void spare(std::size_t node);
  void damage_ledger(std::size_t node);
  [[nodiscard]] bool is_mended() const;
  void end_faults();
  void after_call(std::size_t node);
  void run_until(std::uint64_t time_us);
  void on_final(std::size_t node, const Block& block, const Chain& chain);
  void keep_books(std::size_t node, const Block& block, const Chain& chain);
  void violate(std::size_t node, const std::string& what);
  [[nodiscard]] bool quorum_without(std::size_t member, const consensus::Epoch& epoch) const;
  [[nodiscard]] std::uint64_t lowest() const;
  [[nodiscard]] std::uint64_t now_us() const { return founding_time_us + 1'000'000'000 + time_us_; }
  // By that node's clock.
  [[nodiscard]] std::uint64_t now_us(std::size_t node) const {
    return now_us() + static_cast<std::uint64_t>(skew_us_[node]);
  }

  const ClusterOptions options_;
  consensus::Rng rng_;
  Founding founding_;
  consensus::Ed25519Scheme scheme_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::size_t> member_of_;  // whose node it is, by node; all but the liar have one
  std::map<PublicKey, std::size_t> member_by_key_;
  std::size_t liar_ = SIZE_MAX;        // a member
  std::vector<std::int64_t> skew_us_;  // of each node's clock
  std::size_t spared_ = SIZE_MAX;      // a node that has lost what it needs to vote, or its clock
  std::optional<std::pair<std::size_t, std::uint64_t>> damaged_;  // a node, and the height that it had
  std::uint64_t first_self_ = 0;              // members to whom the first of its two selves talks, by bit
  std::vector<SharedBytes> said_;             // by the liar, to be repeated
  std::vector<std::uint64_t> shared_epoch_;   // in which it has filed its share, by node
  std::vector<consensus::Evidence> to_file_;  // come upon in the present call
  std::vector<std::vector<std::uint64_t>> cut_until_us_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, What> due_;  // by time and order
  std::uint64_t time_us_ = 0, order_ = 0;
  std::uint64_t begun_us_ = UINT64_MAX;  // when every node had a block after the founding
  std::uint64_t loss_percent_ = 0, duplicate_percent_ = 0;
  bool chaos_ = true;
  bool closing_ = false;         // nobody orders jobs any more
  std::vector<Digest> hashes_;   // of the blocks at each height, by the first to have it
  std::set<RecordId> on_chain_;  // of signed records, by that node
  std::optional<Workload> workload_;
  struct Work {
    std::uint64_t life = 0, height = 0;  // of the last look at the ledger
    std::uint64_t sequence = 0;          // of the last record that it filed in that life
  };
  std::vector<Work> work_;  // by node
  Books books_;
  std::map<RecordId, std::pair<std::size_t, std::uint64_t>> waiting_;  // where and when it was submitted
  ClusterReport report_;
};

}  // namespace ufab::sim
