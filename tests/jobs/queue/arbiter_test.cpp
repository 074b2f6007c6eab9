// Several organisations and providers around one ledger: each provider's node decides with arbitrate() alone,
// on a copy of the ledger that lags behind by a random time, and its records arrive after another one. One
// seed fixes everything.
#include "jobs/queue/arbiter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>

#include "jobs/queue/fair_order.h"

namespace ufab::jobs {
namespace {

struct Job {
  Ask ask;
  Seconds filed_s = 0;
  Seconds run_s = 0;
  Seconds began_s = 0;  // every member has leased; 0: not yet
  Seconds ended_s = 0;
  std::map<std::uint32_t, Seconds> leased_s;
};

struct Ledger {
  std::vector<QueueProvider> providers;
  std::vector<std::uint64_t> used;  // by owner
  std::vector<Job> jobs;
  Seconds now_s = 0;

  // As jobs/node builds them from the chain's state.
  [[nodiscard]] Facts facts() const {
    Facts facts;
    facts.now_s = now_s;
    facts.providers = providers;
    for (const std::uint64_t usage : used) facts.owners.push_back({1, usage});
    for (const Job& job : jobs) {
      if (job.ended_s != 0) continue;
      if (job.began_s == 0) facts.asks.push_back(job.ask);
      for (const AskMember& member : job.ask.members) {
        if (!member.leased) continue;
        const Seconds held_s = now_s - job.leased_s.at(member.provider);
        facts.owners[job.ask.owner].usage +=
            slot_seconds(job.ask.slots, std::max<Seconds>(1, job.began_s == 0 ? held_s : job.ask.limit_s));
        if (job.began_s == 0) continue;
        RunningJob running;
        running.job = job.ask.job;
        running.provider = member.provider;
        running.owner = job.ask.owner;
        running.slots = job.ask.slots;
        running.end_s = job.began_s + job.ask.limit_s;
        facts.running.push_back(running);
      }
    }
    return facts;
  }
  void lease(std::uint64_t number, std::uint32_t provider, bool give_back) {
    Job& job = jobs.at(number);
    if (job.began_s != 0) return;  // refused: it runs
    for (AskMember& member : job.ask.members) {
      if (member.provider != provider || member.leased != give_back) continue;
      if (give_back) charge(job, provider);
      member.leased = !give_back;
      job.leased_s[provider] = now_s;
    }
    const auto& members = job.ask.members;
    if (std::all_of(members.begin(), members.end(), [](const AskMember& m) { return m.leased; }))
      job.began_s = now_s;
  }
  void charge(const Job& job, std::uint32_t provider) {
    used[job.ask.owner] +=
        job.ask.slots * static_cast<std::uint64_t>(std::max<Seconds>(1, now_s - job.leased_s.at(provider)));
  }
  void advance(Seconds to_s) {
    now_s = to_s;
    for (Job& job : jobs) {
      if (job.began_s == 0 || job.ended_s != 0 || now_s < job.began_s + job.run_s) continue;
      job.ended_s = now_s;
      for (const AskMember& member : job.ask.members) charge(job, member.provider);
    }
  }
  void file(Job job) {
    job.ask.job = jobs.size();
    job.ask.attempt = 1;
    job.ask.since_s = job.filed_s = now_s;
    jobs.push_back(std::move(job));
  }
};

class World {
 public:
  World(std::uint64_t seed, std::size_t providers, std::size_t owners, Seconds delay_max_s)
      : random_(seed), delay_max_s_(delay_max_s) {
    for (std::size_t i = 0; i < providers; ++i)
      ledger.providers.push_back({static_cast<std::uint32_t>(2 + within(3)), 0, true});
    ledger.used.resize(owners);
    nodes_.resize(providers);
  }

  std::uint64_t within(std::uint64_t bound) { return random_() % bound; }

  Job job_of(std::uint32_t owner, std::size_t members_max) {
    Job job;
    job.ask.owner = owner;
    std::vector<std::uint32_t> all(ledger.providers.size());
    for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    std::shuffle(all.begin(), all.end(), random_);
    all.resize(1 + within(std::min(members_max, all.size())));
    std::uint32_t slots_max = 64;
    for (const std::uint32_t provider : all) {
      job.ask.members.push_back({provider, false});
      slots_max = std::min(slots_max, ledger.providers[provider].slots);
    }
    job.ask.slots = static_cast<std::uint32_t>(1 + within(slots_max));
    job.ask.limit_s = static_cast<Seconds>(10 + within(50));
    job.run_s = 1 + static_cast<Seconds>(within(static_cast<std::uint64_t>(job.ask.limit_s)));
    return job;
  }

  // One second: records arrive, runs end, every node looks and acts.
  void step() {
    ledger.advance(ledger.now_s + 1);
    for (Record& record : std::exchange(travelling_, {})) {
      if (record.arrives_s > ledger.now_s) {
        travelling_.push_back(record);
        continue;
      }
      ledger.lease(record.job, record.provider, record.give_back);
      nodes_[record.provider].blind_until_s = ledger.now_s;
    }
    history_.push_back(ledger.facts());
    if (history_.size() > static_cast<std::size_t>(delay_max_s_) + 1) history_.pop_front();
    check();
    for (std::uint32_t provider = 0; provider < nodes_.size(); ++provider) act(provider);
  }
  [[nodiscard]] bool all_ended() const {
    return std::all_of(ledger.jobs.begin(), ledger.jobs.end(),
                       [](const Job& job) { return job.ended_s != 0; });
  }

  Ledger ledger;
  std::uint64_t given_back = 0;

 private:
  struct Record {
    Seconds arrives_s = 0;
    std::uint64_t job = 0;
    std::uint32_t provider = 0;
    bool give_back = false;
  };
  struct Node {
    Seconds seen_s = 0;         // its copy of the ledger only grows
    Seconds blind_until_s = 0;  // and holds its own last record before it acts again
  };

  void act(std::uint32_t provider) {
    Node& node = nodes_[provider];
    // Its last record is on its way, or its copy does not hold it yet: a node waits for that.
    for (const Record& record : travelling_) {
      if (record.provider == provider) return;
    }
    const auto lag = static_cast<Seconds>(
        within(std::min<std::uint64_t>(history_.size(), static_cast<std::uint64_t>(delay_max_s_) + 1)));
    const Facts& facts = history_[history_.size() - 1 - static_cast<std::size_t>(lag)];
    if (facts.now_s < node.seen_s || facts.now_s < node.blind_until_s) return;
    node.seen_s = facts.now_s;
    for (const AskDecision& decision : arbitrate(facts, provider)) {
      const bool give_back = decision.answer == AskAnswer::give_back;
      if (decision.answer != AskAnswer::lease && !give_back) continue;
      const Seconds delay_s = static_cast<Seconds>(within(static_cast<std::uint64_t>(delay_max_s_) + 1));
      travelling_.push_back({ledger.now_s + delay_s + 1, facts.asks[decision.ask].job, provider, give_back});
      given_back += give_back ? 1 : 0;
    }
  }

  // Nobody ever holds more than he has, incomplete gangs included.
  void check() const {
    std::vector<std::uint64_t> held(ledger.providers.size());
    for (const Job& job : ledger.jobs) {
      if (job.ended_s != 0) continue;
      for (const AskMember& member : job.ask.members)
        held[member.provider] += member.leased ? job.ask.slots : 0;
    }
    for (std::size_t i = 0; i < held.size(); ++i)
      ASSERT_LE(held[i], ledger.providers[i].slots) << "provider " << i << " at " << ledger.now_s;
  }

  std::mt19937_64 random_;
  const Seconds delay_max_s_;
  std::vector<Node> nodes_;
  std::vector<Record> travelling_;
  std::deque<Facts> history_;  // the newest last
};

TEST(Arbiter, EveryGangRunsInTheEndWhateverTheDelaysAndNobodyHoldsMoreThanHeHas) {
  std::uint64_t given_back = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed, 2 + seed % 4, 3, static_cast<Seconds>(seed % 7));
    for (int second = 0; second < 300; ++second) {
      if (world.within(4) == 0)
        world.ledger.file(world.job_of(static_cast<std::uint32_t>(world.within(3)), 4));
      world.step();
      if (testing::Test::HasFatalFailure()) return;
    }
    // At most 300 jobs of at most a minute, one after the other, with what messages take.
    int left = 300 * 90;
    while (!world.all_ended() && --left > 0) world.step();
    ASSERT_TRUE(world.all_ended()) << "a gang waits for ever";
    given_back += world.given_back;
  }
  EXPECT_GT(given_back, 50U) << "the simulation crosses no messages: it proves nothing";
}

// Two gangs on the same two providers, and the news crosses: each provider has leased to another gang.
TEST(Arbiter, OfTwoGangsThatHoldHalfEachTheFirstGetsTheRestAndTheOtherGivesBack) {
  Facts facts;
  facts.now_s = 1000;
  facts.providers = {{2, 0, true}, {2, 0, true}};
  facts.owners = {{1, 0}, {1, 50}};
  facts.asks = {{1, 1, 1, 2, 0, 60, 900, 0, {{0, true}, {1, false}}},
                {2, 1, 0, 2, 0, 60, 950, 0, {{0, false}, {1, true}}}};
  auto first = arbitrate(facts, 0);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].ask, 1U);
  EXPECT_EQ(first[0].answer, AskAnswer::wait) << "until what it gives back is back on the ledger";
  EXPECT_EQ(first[0].reason, Reason::resources);
  EXPECT_EQ(first[1].ask, 0U);
  EXPECT_EQ(first[1].answer, AskAnswer::give_back);
  const auto second = arbitrate(facts, 1);
  EXPECT_EQ(second[0].answer, AskAnswer::keep);
  EXPECT_EQ(second[1].answer, AskAnswer::wait);
  facts.asks[0].members[0].leased = false;
  first = arbitrate(facts, 0);
  EXPECT_EQ(first[0].answer, AskAnswer::lease);
  EXPECT_EQ(first[1].answer, AskAnswer::wait);
}

// An owner whose node asks for everything at once, and asks first, against one that asks for two at a time.
TEST(Arbiter, WhoFloodsAProviderDoesNotJumpItsQueue) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed, 1, 2, 2);
    world.ledger.providers[0].slots = 2;
    const auto file = [&](std::uint32_t owner) {
      Job job;
      job.ask.owner = owner;
      job.ask.members = {{0, false}};
      job.ask.limit_s = 20;
      job.run_s = 5 + static_cast<Seconds>(world.within(10));
      world.ledger.file(std::move(job));
    };
    for (int i = 0; i < 200; ++i) file(0);
    for (int i = 0; i < 30; ++i) world.step();
    const auto begun = [&](std::uint32_t owner) {
      return std::count_if(world.ledger.jobs.begin(), world.ledger.jobs.end(),
                           [&](const Job& job) { return job.ask.owner == owner && job.began_s != 0; });
    };
    const auto before = begun(0);
    int filed = 0;
    for (int i = 0; i < 600 && begun(1) < 12; ++i) {
      for (; filed < begun(1) + 2 && filed < 12; ++filed) file(1);
      world.step();
    }
    ASSERT_EQ(begun(1), 12);
    // Its due is every second place from the moment that it comes; it was behind by what it had not used.
    EXPECT_LE(begun(0) - before, 12 + 2);
  }
}

// Whoever's turn it is by fair share, a wide gang is not overtaken for ever by narrow jobs that fit.
TEST(Arbiter, AStreamOfSmallJobsDoesNotStarveAWideGang) {
  World world(7, 3, 2, 3);
  for (QueueProvider& provider : world.ledger.providers) provider.slots = 4;
  Job wide;
  wide.ask.owner = 1;
  wide.ask.slots = 4;
  wide.ask.limit_s = 60;
  wide.run_s = 30;
  wide.ask.members = {{0, false}, {1, false}, {2, false}};
  bool filed = false;
  for (int second = 0; second < 600; ++second) {
    for (std::uint32_t provider = 0; provider < 3; ++provider) {
      if (second % 4 != 0) continue;
      Job small;
      small.ask.owner = 0;
      small.ask.limit_s = 30;
      small.run_s = 25;
      small.ask.members = {{provider, false}};
      world.ledger.file(std::move(small));
    }
    if (second == 100) {
      world.ledger.file(wide);
      filed = true;
    }
    world.step();
    if (!filed) continue;
    const auto at = std::find_if(world.ledger.jobs.begin(), world.ledger.jobs.end(),
                                 [](const Job& job) { return job.ask.owner == 1; });
    if (at->began_s != 0) {
      EXPECT_LE(at->began_s - at->filed_s, 30 + 30);
      return;
    }
  }
  FAIL() << "the gang never ran";
}

// With one slot, new organisations that have used nothing come all the time: patience is what is left.
TEST(Arbiter, WhoHasWaitedADayComesBeforeOrganisationsThatHaveUsedNothing) {
  Facts facts;
  facts.now_s = 200'000;
  facts.providers = {{1, 0, true}};
  facts.owners = {{1, 1'000'000}, {1, 0}};
  facts.asks = {{1, 1, 0, 1, 0, 60, 200'000 - 86'401, 0, {{0, false}}},
                {2, 1, 1, 1, 0, 60, 199'000, 0, {{0, false}}}};
  auto decisions = arbitrate(facts, 0);
  EXPECT_EQ(decisions[0].ask, 0U);
  EXPECT_EQ(decisions[0].answer, AskAnswer::lease);
  facts.asks[0].since_s += 2;
  decisions = arbitrate(facts, 0);
  EXPECT_EQ(decisions[0].ask, 1U);
  EXPECT_EQ(decisions[1].answer, AskAnswer::wait);
  EXPECT_EQ(decisions[1].reason, Reason::resources);
}

TEST(Arbiter, AProviderThatDrainsLeasesNothingAndSaysSo) {
  Facts facts;
  facts.providers = {{4, 0, false}};
  facts.owners = {{1, 0}};
  facts.asks = {{1, 1, 0, 1, 0, 60, 0, 0, {{0, false}}}};
  const auto decisions = arbitrate(facts, 0);
  ASSERT_EQ(decisions.size(), 1U);
  EXPECT_EQ(decisions[0].answer, AskAnswer::wait);
  EXPECT_EQ(decisions[0].reason, Reason::no_provider_now);
}

TEST(Arbiter, OnlyTheFirstOfAnOwnersAsksAreLookedAt) {
  Facts facts;
  facts.providers = {{100'000, 0, true}};
  facts.owners = {{1, 0}};
  for (std::uint64_t i = 0; i < asks_per_owner_max + 10; ++i)
    facts.asks.push_back({i + 1, 1, 0, 1, 0, 60, static_cast<Seconds>(i), 0, {{0, i == asks_per_owner_max}}});
  const auto decisions = arbitrate(facts, 0);
  ASSERT_EQ(decisions.size(), facts.asks.size());
  EXPECT_EQ(std::count_if(decisions.begin(), decisions.end(),
                          [](const AskDecision& d) { return d.answer == AskAnswer::lease; }),
            static_cast<std::ptrdiff_t>(asks_per_owner_max));
  EXPECT_EQ(decisions[asks_per_owner_max].answer, AskAnswer::give_back) << "nothing is held beyond them";
}

}  // namespace
}  // namespace ufab::jobs
