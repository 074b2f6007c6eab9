// The ladder as a pure function: properties over random faults and epochs.
#include "accounting/state/standing.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

namespace ufab::test {
namespace {

EnrolmentParams any_params() {
  EnrolmentParams p;
  const auto points = [] { return *rc::gen::inRange<std::uint64_t>(0, 60); };
  p.points_lease_missed = points();
  p.points_receipts_missing = points();
  p.points_false_result = points();
  p.points_verification_missed = points();
  p.points_benchmark_expired = points();
  p.points_benchmark_refuted = points();
  p.points_decay = *rc::gen::inRange<std::uint64_t>(1, 20);
  p.points_warn = *rc::gen::inRange<std::uint64_t>(1, 30);
  p.points_suspend = p.points_warn + *rc::gen::inRange<std::uint64_t>(1, 40);
  p.suspension_epochs = *rc::gen::inRange<std::uint64_t>(1, 5);
  p.suspensions_max = *rc::gen::inRange<std::uint64_t>(1, 4);
  return p;
}

FaultEntry any_fault(std::uint64_t epoch) {
  const auto kind = static_cast<FaultKind>(*rc::gen::inRange(0, 6));
  return {kind, 1, *rc::gen::inRange<OrgId>(1, 4), *rc::gen::inRange<std::uint64_t>(0, 9), epoch, 0};
}

// A random life so far, and the epoch that it has come to.
Standing any_life(const EnrolmentParams& p, std::uint64_t& epoch) {
  Standing s;
  const int events = *rc::gen::inRange(0, 40);
  for (int i = 0; i < events; ++i) {
    if (*rc::gen::inRange(0, 3) == 0) {
      begin_standing_epoch(s, ++epoch, p);
    } else {
      add_fault(s, any_fault(epoch), p);
      if (*rc::gen::inRange(0, 2) == 0) evaluate_standing(s, epoch, p);
    }
  }
  return s;
}

int rank(StandingStatus status) {
  return static_cast<int>(status);
}

TEST(Standing, EveryValueStaysWithinItsBounds) {
  EXPECT_TRUE(rc::check("bounds", [] {
    const EnrolmentParams p = any_params();
    RC_ASSERT(check_enrolment_params(p).ok());
    std::uint64_t epoch = 1;
    const Standing s = any_life(p, epoch);
    RC_ASSERT(s.points <= standing_points_max);
    RC_ASSERT(s.step <= p.suspensions_max);
    RC_ASSERT(s.recent.size() <= faults_recent_max);
    RC_ASSERT((s.until_epoch != 0) == (s.status >= StandingStatus::suspended));
    if (s.status == StandingStatus::suspended) {
      RC_ASSERT(s.until_epoch > epoch);
      RC_ASSERT(s.until_epoch <= epoch + suspension_length(s.step, p));
    }
  }));
}

TEST(Standing, PointsAtTheirLimitDoNotWrap) {
  EnrolmentParams p;
  p.points_false_result = 1'000'000'000;
  Standing s;
  s.points = standing_points_max - 1;
  add_fault(s, {FaultKind::false_result, 1, 2, 3, 1, 0}, p);
  EXPECT_EQ(s.points, standing_points_max);
}

TEST(Standing, AFaultNeverMakesItBetter) {
  EXPECT_TRUE(rc::check("monotone", [] {
    const EnrolmentParams p = any_params();
    std::uint64_t epoch = 1;
    const Standing before = any_life(p, epoch);
    Standing less = before, more = before;
    // The same faults, and one more, in the same block.
    const int count = *rc::gen::inRange(0, 4);
    for (int i = 0; i < count; ++i) {
      const FaultEntry fault = any_fault(epoch);
      add_fault(less, fault, p);
      add_fault(more, fault, p);
    }
    add_fault(more, any_fault(epoch), p);
    RC_ASSERT(less.points >= before.points);
    RC_ASSERT(more.points >= less.points);
    evaluate_standing(less, epoch, p);
    evaluate_standing(more, epoch, p);
    RC_ASSERT(rank(more.status) >= rank(less.status));
    RC_ASSERT(rank(more.status) >= rank(before.status) || before.until_epoch <= epoch);
    RC_ASSERT(more.step >= less.step);
    RC_ASSERT(more.until_epoch >= less.until_epoch);
  }));
}

TEST(Standing, WithoutFaultsItIsCleanAgainWithinABoundUnlessExpelled) {
  EXPECT_TRUE(rc::check("decays to zero", [] {
    const EnrolmentParams p = any_params();
    std::uint64_t epoch = 1;
    Standing s = any_life(p, epoch);
    evaluate_standing(s, epoch, p);
    RC_PRE(s.status != StandingStatus::expelled);
    // Every point, the suspensions that what has piled up may still bring, and every step's calm.
    std::uint64_t bound = s.points / p.points_decay + 1;
    for (std::uint32_t step = 1; step <= p.suspensions_max; ++step) {
      bound += 2 * suspension_length(step, p) + p.points_suspend + 1;
    }
    std::uint64_t points = s.points;
    for (std::uint64_t i = 0; i < bound; ++i) {
      begin_standing_epoch(s, ++epoch, p);
      RC_ASSERT(s.points <= points || s.status == StandingStatus::suspended);
      points = s.points;
      if (s.status == StandingStatus::expelled) return;  // what had piled up while suspended was enough
    }
    RC_ASSERT(s.status == StandingStatus::good);
    RC_ASSERT(s.points == 0U);
    RC_ASSERT(s.step == 0U);
    RC_ASSERT(may_lease(s));
  }));
}

TEST(Standing, TheOrderOfABlocksFaultsDoesNotMatter) {
  EXPECT_TRUE(rc::check("order", [] {
    const EnrolmentParams p = any_params();
    std::uint64_t epoch = 1;
    const Standing before = any_life(p, epoch);
    std::vector<FaultEntry> faults;
    // More than `recent` remembers would be another claim.
    const int count = *rc::gen::inRange(1, 6);
    for (int i = 0; i < count; ++i) faults.push_back(any_fault(epoch));
    const auto after = [&](const std::vector<FaultEntry>& list) {
      Standing s = before;
      s.recent.clear();
      for (const FaultEntry& fault : list) add_fault(s, fault, p);
      evaluate_standing(s, epoch, p);
      s.recent.clear();
      return s;
    };
    std::vector<FaultEntry> other = faults;
    const auto by = *rc::gen::inRange<std::size_t>(0, other.size());
    std::rotate(other.begin(), other.begin() + static_cast<std::ptrdiff_t>(by), other.end());
    if (*rc::gen::inRange(0, 2) == 0) std::reverse(other.begin(), other.end());
    RC_ASSERT(after(faults) == after(other));
    RC_ASSERT(after(faults) == after(faults));
  }));
}

class Ladder : public ::testing::Test {
 protected:
  void fault(FaultKind kind, OrgId by = 9) {
    add_fault(s, {kind, 1, by, 5, epoch, 0}, p);
    evaluate_standing(s, epoch, p);
  }
  void epochs(std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) begin_standing_epoch(s, ++epoch, p);
  }
  EnrolmentParams p;
  Standing s;
  std::uint64_t epoch = 1;
};

TEST_F(Ladder, IsWarnedThenSuspendedForDoubledTimesThenExpelled) {
  p.suspension_epochs = 2;
  p.suspensions_max = 3;
  fault(FaultKind::verification_missed);
  EXPECT_EQ(s.status, StandingStatus::good);
  fault(FaultKind::verification_missed);
  EXPECT_EQ(s.status, StandingStatus::warned);
  for (const std::uint64_t length : {2U, 4U, 8U}) {
    const std::uint64_t since = epoch;
    fault(FaultKind::false_result);
    EXPECT_EQ(s.status, StandingStatus::suspended);
    EXPECT_EQ(s.until_epoch, since + length);
    epochs(length - 1);
    EXPECT_FALSE(may_lease(s));
    epochs(1);
    EXPECT_TRUE(may_lease(s));
  }
  fault(FaultKind::false_result);
  EXPECT_EQ(s.status, StandingStatus::expelled);
  EXPECT_EQ(s.until_epoch, epoch + 16);
  epochs(100);
  EXPECT_EQ(s.status, StandingStatus::expelled) << "time alone does not bring it back";
  readmit(s, p);
  EXPECT_EQ(s.status, StandingStatus::warned);
  fault(FaultKind::false_result);
  EXPECT_EQ(s.status, StandingStatus::expelled) << "it came back on the last step";
}

TEST_F(Ladder, AFaultWhileSuspendedMakesTheNextSuspensionFollow) {
  fault(FaultKind::false_result);
  const std::uint64_t until = s.until_epoch;
  fault(FaultKind::false_result);
  EXPECT_EQ(s.until_epoch, until) << "the present one stays as it is";
  epochs(p.suspension_epochs);
  EXPECT_EQ(s.status, StandingStatus::suspended);
  EXPECT_EQ(s.step, 2U);
  EXPECT_EQ(s.until_epoch, until + 2 * p.suspension_epochs);
}

TEST_F(Ladder, AStepIsForgivenAfterAsManyCleanEpochsAsItsSuspensionTook) {
  p.points_decay = 100;
  fault(FaultKind::false_result);
  epochs(p.suspension_epochs);
  EXPECT_EQ(s.status, StandingStatus::good);
  EXPECT_EQ(s.step, 1U);
  EXPECT_EQ(s.calm_epochs, 1U);
  epochs(p.suspension_epochs - 2);
  EXPECT_EQ(s.step, 1U);
  fault(FaultKind::benchmark_expired);
  epochs(1);
  EXPECT_EQ(s.step, 1U) << "a fault starts the count again";
  epochs(p.suspension_epochs - 1);
  EXPECT_EQ(s.step, 0U);
}

TEST_F(Ladder, OneOwnerCountsOnceAnEpochForFaultsThatItBringsAbout) {
  for (int i = 0; i < 10; ++i) fault(FaultKind::lease_missed, 7);
  EXPECT_EQ(s.points, p.points_lease_missed);
  fault(FaultKind::lease_missed, 8);
  EXPECT_EQ(s.points, 2 * p.points_lease_missed);
  for (int i = 0; i < 2; ++i) fault(FaultKind::false_result, 7);
  EXPECT_EQ(s.recent.size(), 4U) << "verdicts count each";
}

}  // namespace
}  // namespace ufab::test
