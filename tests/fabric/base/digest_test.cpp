#include "fabric/base/digest.h"

#include <gtest/gtest.h>

namespace ufab {
namespace {

// FIPS 180-4 examples, as published with the standard.
TEST(Digest, MatchesThePublishedSha256Vectors) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 million;
  for (int i = 0; i < 1000; ++i) million.update(std::string(1000, 'a'));
  EXPECT_EQ(million.finish().hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, ParsesExactlyWhatItPrints) {
  const Digest digest = sha256("abc");
  EXPECT_EQ(Digest::parse(digest.str()).value(), digest);
  EXPECT_FALSE(Digest::parse(digest.hex()).ok());
  EXPECT_FALSE(Digest::parse("sha256:" + std::string(63, 'a')).ok());
  EXPECT_FALSE(Digest::parse("sha256:" + std::string(64, 'A')).ok());
}

}  // namespace
}  // namespace ufab
