// When an offer is made smaller, larger again, drained and resumed.
#include "jobs/node/capacity_watch.h"

#include <gtest/gtest.h>

namespace ufab::jobs {
namespace {

using Kind = CapacityMove::Kind;
constexpr OfferSize full{8, 16384};

TEST(CapacityWatch, AnOfferThatHoldsStaysAsItIs) {
  EXPECT_EQ(capacity_move(ProviderStatus::active, full, full, false, full).kind, Kind::nothing);
  EXPECT_EQ(capacity_move(ProviderStatus::active, full, full, false, {100, 1 << 20}).kind, Kind::nothing)
      << "more is the operator's to offer";
  EXPECT_EQ(capacity_move(ProviderStatus::left, full, full, false, {1, 1}).kind, Kind::nothing);
}

TEST(CapacityWatch, WhatIsThereLessOfIsOfferedLessAndInFullAgainWhenItIsBack) {
  const CapacityMove less = capacity_move(ProviderStatus::active, full, full, false, {6, 20000});
  EXPECT_EQ(less.kind, Kind::update);
  EXPECT_EQ(less.size, (OfferSize{6, 16384}));
  EXPECT_EQ(less.reason,
            "its machines have 6 processors and 20000 MiB, 8 processors and 16384 MiB were offered");
  const CapacityMove back = capacity_move(ProviderStatus::active, less.size, full, false, {12, 20000});
  EXPECT_EQ(back.kind, Kind::update);
  EXPECT_EQ(back.size, full);
  EXPECT_EQ(capacity_move(ProviderStatus::draining, full, full, false, {6, 20000}).kind, Kind::update)
      << "a draining provider's offer is right too";
}

TEST(CapacityWatch, WithNothingLeftItDrainsAndResumesOnlyItsOwnDrain) {
  const CapacityMove gone = capacity_move(ProviderStatus::active, full, full, false, {});
  EXPECT_EQ(gone.kind, Kind::drain);
  EXPECT_EQ(gone.reason, "its machines have 0 processors and 0 MiB left");
  EXPECT_EQ(capacity_move(ProviderStatus::draining, full, full, true, {}).kind, Kind::nothing);
  EXPECT_EQ(capacity_move(ProviderStatus::draining, full, full, true, full).kind, Kind::resume);
  EXPECT_EQ(capacity_move(ProviderStatus::draining, full, full, false, full).kind, Kind::nothing)
      << "the operator drained it";
}

TEST(CapacityWatch, ThisMachineIsAskedAndAnOfferBeyondItsProcessorsIsTakenForMeant) {
  const CapacityWatch::Ask ask = ask_machines();
  ProviderConfig config;
  config.slots = 1;
  const auto machine = ask(config);
  ASSERT_TRUE(machine.ok());
  EXPECT_GE(machine->slots, 1U);
  EXPECT_GT(machine->memory_mib, 100U);
  config.slots = 60000;
  EXPECT_GE(ask(config)->slots, 60000U);
  config.batch = "other";
  EXPECT_FALSE(ask(config).ok());
}

}  // namespace
}  // namespace ufab::jobs
