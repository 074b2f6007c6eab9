// Random sequences of valid and invalid records: money is conserved, replicas agree, errors leave no trace.
#include <gtest/gtest.h>

#include "tests/accounting/support/random_records.h"

namespace ufab::test {
namespace {

TEST(Property, RandomRecordsKeepTheMoneyInvariantAndReplicasEqual) {
  const bool good = rc::check("money and replicas", [] {
    World world(quick_params());
    world.add_organisations();
    const int count = *rc::gen::inRange(10, 60);
    for (int i = 0; i < count; ++i) {
      const OrgId org = any_org();
      (void)world.submit(org, any_body(world, org));
      if (*rc::gen::inRange(0, 5) == 0) help_along(world);
      RC_ASSERT(world.state().accounts().recount());
    }
    Chain replica;
    for (const Bytes& bytes : world.blocks()) {
      auto block = decode_block(bytes);
      RC_ASSERT(block.ok());
      const auto imported = replica.import(std::move(*block));
      if (!imported.ok()) RC_FAIL(imported.error().message);
    }
    RC_ASSERT(replica.state().accounts().all() == world.state().accounts().all());
    RC_ASSERT(replica.state().jobs().size() == world.state().jobs().size());
    RC_ASSERT(replica.state().usage_imports().all() == world.state().usage_imports().all());
  });
  EXPECT_TRUE(good);
}

TEST(Property, ARefusedRecordChangesNothingButItsSignersSequence) {
  const bool good = rc::check("refusals", [] {
    World world(quick_params());
    world.add_organisations();
    for (int i = 0; i < 30; ++i) {
      const OrgId org = any_org();
      const Record record = world.sign(org, any_body(world, org));
      const auto before = world.state().accounts().all();
      const JobId last = world.state().job_last();
      const AppliedBlock made = world.make({record});
      if (made.outcomes[0].status.ok()) continue;
      // What the block's own start moved (epochs, deadlines) is not the record's doing.
      if (made.start_movements.empty()) RC_ASSERT(world.state().accounts().all() == before);
      RC_ASSERT(world.state().job_last() == last);
      RC_ASSERT(made.movements.back().empty());
    }
  });
  EXPECT_TRUE(good);
}

}  // namespace
}  // namespace ufab::test
