// Sums between devices where they can be trusted, through MPI where not: on one machine and on several.
#include <gtest/gtest.h>

#include "tests/fabric/support/process.h"

namespace ufab::testing {
namespace {

TEST(SumExchangeTest, DevicesThatAddRightAreUsedAndAllOthersLeftAlone) {
  const TemporaryFolder folder;
  for (const std::string kind :
       {"honest", "wrong-sum", "wrong-broadcast", "no-id", "no-join", "one-device"}) {
    for (const std::string ranks : {"2", "5"}) {  // one machine; two of two ranks and one of one
      Process process(folder.path(), kind + ranks, {"mpirun", "-n", ranks, UFAB_SUM_EXCHANGE_RANKS, kind},
                      mpi_environment());
      const Outcome outcome = process.wait();
      EXPECT_EQ(outcome.status, 0) << kind << " " << ranks << ": " << outcome.errors;
      EXPECT_EQ(outcome.output, kind == "honest" ? "devices\n" : "mpi\n") << kind << " " << ranks;
      EXPECT_EQ(outcome.errors.find("MPI adds instead") != std::string::npos, kind.starts_with("wrong"))
          << kind << " " << ranks << ": " << outcome.errors;
    }
  }
}

TEST(SumExchangeTest, ARankAloneHasNothingToAdd) {
  const TemporaryFolder folder;
  Process process(folder.path(), "alone", {"mpirun", "-n", "1", UFAB_SUM_EXCHANGE_RANKS, "honest"},
                  mpi_environment());
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.status, 0) << outcome.errors;
  EXPECT_EQ(outcome.output, "mpi\n");
}

}  // namespace
}  // namespace ufab::testing
