// A whole simulated cluster: members, network, faults, and the run from chaos to calm.
#pragma once

#include <memory>
#include <optional>
#include <queue>

#include "accounting/consensus/sim/meddler.h"
#include "accounting/consensus/sim/simulation.h"

namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD {

class Cluster {
 public:
  Cluster(std::uint64_t seed, const SimulationOptions& options);
  [[nodiscard]] SimulationReport run();

 private:
  struct Delivery {
    std::size_t from, to;
    Message message;
  };
  struct ChainRequest {
    std::size_t from, to;  // to is asked
    std::uint64_t epoch;
    View after_view;
  };
  struct ChainAnswer {
    std::size_t from, to;
    std::vector<ProposalPtr> blocks;
    CertificatePtr certificate;
  };
  struct AlarmEvent {
    std::size_t self;
    std::uint64_t life;
    Member::Alarm alarm;
    std::uint64_t token;
  };
  struct Restart {
    std::size_t self;
  };
  struct Mischance {};  // the next fault
  using What = std::variant<Delivery, ChainRequest, ChainAnswer, AlarmEvent, Restart, Mischance>;

  // A node: an honest member, or one of the selves of a dishonest one.
  struct Self {
    std::unique_ptr<Member> member;
    std::uint64_t mask = ~0ULL;  // of the members that it talks to
    std::uint64_t withheld = 0;  // percent
    bool late = false;           // what is withheld is sent later
  };

  void add_member(std::size_t number);
  void add_self(std::size_t number, std::uint64_t mask, const Vices& vices);
  void schedule(std::uint64_t after_us, What what);
  void transmit(std::size_t from, std::size_t to, What what);
  void handle(const Delivery& event);
  void handle(const ChainRequest& event);
  void handle(const ChainAnswer& event);
  void handle(const AlarmEvent& event);
  void handle(const Restart& event);
  void handle(const Mischance& event);
  void run_until(std::uint64_t time_us);
  void crash(std::size_t self, std::uint64_t down_us_max);
  void spoil_disk(Member& member);
  void misdirect_a_write();
  void partition();
  void calm_down();
  [[nodiscard]] bool all_have(std::uint64_t height) const;
  [[nodiscard]] SimulationReport report() const;

  std::uint64_t seed_;
  SimulationOptions options_;
  World world_;
  Checks checks_;
  Rng rng_;
  std::vector<Self> selves_;
  std::vector<std::vector<std::size_t>> selves_of_;  // by member
  std::map<std::size_t, std::unique_ptr<Meddler>> meddlers_;

  struct Due {
    std::uint64_t time_us, order;
    std::size_t place;  // in events_
    bool operator>(const Due& other) const {
      return time_us != other.time_us ? time_us > other.time_us : order > other.order;
    }
  };
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  std::vector<What> events_;
  std::vector<std::size_t> free_;
  std::uint64_t now_us_ = 0, order_ = 0;

  struct Network {
    std::uint64_t delay_min_us = 2'000, delay_max_us = 60'000;
    std::uint64_t loss_percent = 0, duplicate_percent = 0;
  } network_;
  std::vector<std::vector<std::uint64_t>> cut_until_us_;  // by sender and receiver
  bool chaos_ = true;
  bool disk_fault_done_ = false;
  std::uint64_t messages_ = 0, crashes_ = 0, partitions_ = 0, logs_lost_ = 0, late_ = 0;
  std::string stuck_;
};

}  // namespace ufab::consensus::inline UFAB_CONSENSUS_BUILD
