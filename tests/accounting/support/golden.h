// Golden files: what a format's encoder has written since its version began.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "fabric/base/file.h"

namespace ufab::test {

// That this is the text of the file. UFAB_GOLDEN_WRITE=1 writes it anew: only for a new version of the
// format.
inline void expect_golden(const std::string& path, const std::string& text) {
  if (std::getenv("UFAB_GOLDEN_WRITE") != nullptr) {
    const Status written = write_file_atomic(path, as_bytes(text));
    EXPECT_TRUE(written.ok()) << path;
  }
  const auto golden = read_text_file(path, 1 << 20);
  ASSERT_TRUE(golden.ok()) << golden.error().message;
  EXPECT_EQ(*golden, text) << path;
}
inline void expect_golden(const std::string& path, ByteView bytes) {
  expect_golden(path, to_hex(bytes) + "\n");
}

}  // namespace ufab::test
