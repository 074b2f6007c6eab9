#include "jobs/queue/trace.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdio>

namespace ufab::jobs {
namespace {

const char* const text =
    "; MaxProcs: 128\n"
    ";   Note: none\n"
    "\n"
    "    2     1460     -1   3726  128     -1    -1   -1   7200    -1 -1   9   1   4 -1 -1 -1 -1\n"
    "    1        0     -1   0.50    3     -1    -1    8     -1    -1 -1   1   1  -1 -1 -1 -1 -1\n"
    "    3     1461     -1     -1   16     -1    -1   -1     -1    -1 -1   1   1  -1 -1 -1 -1 -1\n";

TEST(Trace, ReadsTheStandardWorkloadFormat) {
  const Trace trace = parse_trace(text).value();
  EXPECT_EQ(trace.slots, 128U);
  EXPECT_EQ(trace.left_out, 1U);  // never ran
  ASSERT_EQ(trace.jobs.size(), 2U);
  EXPECT_EQ(trace.jobs[0].number, 1U);  // by submit time
  EXPECT_EQ(trace.jobs[0].slots, 8U);   // as requested
  EXPECT_EQ(trace.jobs[0].run_s, 1);    // at least a second
  EXPECT_EQ(trace.jobs[0].requested_s, 0);
  EXPECT_EQ(trace.jobs[1].slots, 128U);
  EXPECT_EQ(trace.jobs[1].requested_s, 7200);
  EXPECT_EQ(trace.jobs[1].user, 9U);
  EXPECT_EQ(trace.jobs[1].program, 4U);
}

TEST(Trace, AWrongLineIsNamed) {
  EXPECT_EQ(parse_trace("; x\n1 2 3\n").error().message, "line 2: 3 numbers, not 18");
  EXPECT_EQ(parse_trace("1 2 3 x 5 6 7 8 9 10 11 12 13 14 15 16 17 18").error().message,
            "line 1: 'x' is not a number");
  EXPECT_EQ(parse_trace("1 -2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18").error().message,
            "line 1: a number or time is out of range");
  EXPECT_FALSE(parse_trace("1 99999999999999999999 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18").ok());
}

TEST(Trace, PlainAndPackedFilesAreTheSameAndACutOneIsAnError) {
  char plain[] = "trace-test-XXXXXX";
  const int file = ::mkstemp(plain);
  ASSERT_GE(file, 0);
  ASSERT_EQ(::write(file, text, std::string(text).size()), static_cast<ssize_t>(std::string(text).size()));
  ::close(file);
  const std::string packed = std::string(plain) + ".gz";
  gzFile out = gzopen(packed.c_str(), "wb");
  gzputs(out, text);
  gzclose(out);
  EXPECT_EQ(load_trace(plain).value().jobs.size(), 2U);
  EXPECT_EQ(load_trace(packed).value().jobs.size(), 2U);
  ASSERT_EQ(::truncate(packed.c_str(), 60), 0);
  EXPECT_EQ(load_trace(packed).error().code, ErrorCode::corrupt);
  std::remove(plain);
  std::remove(packed.c_str());
  EXPECT_EQ(load_trace(plain).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace ufab::jobs
