#include "fabric/base/sign.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace ufab {
namespace {

KeyPair pair_from(const char* seed_hex) {
  std::array<std::uint8_t, 32> seed;
  const Bytes raw = from_hex(seed_hex).value();
  std::copy(raw.begin(), raw.end(), seed.begin());
  return KeyPair::from_seed(seed);
}

struct Vector {
  const char* seed;
  const char* public_key;
  const char* message;
  const char* signature;
};

// RFC 8032 section 7.1, tests 1 to 3.
const Vector vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd"
     "25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c3"
     "87b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594"
     "a7c15e9716ed28dc027beceea1ec40a"},
};

TEST(Sign, MatchesTheVectorsOfRfc8032) {
  for (const Vector& vector : vectors) {
    const KeyPair pair = pair_from(vector.seed);
    EXPECT_EQ(pair.public_key().hex(), vector.public_key);
    const Bytes message = from_hex(vector.message).value();
    const Signature signature = pair.sign(message);
    EXPECT_EQ(to_hex(signature.bytes), vector.signature);
    EXPECT_TRUE(verify(pair.public_key(), message, signature));
  }
}

TEST(Sign, AChangedBitAnywhereIsRefused) {
  const KeyPair pair = pair_from(vectors[2].seed);
  Bytes message = from_hex(vectors[2].message).value();
  const Signature signature = pair.sign(message);
  for (std::size_t bit = 0; bit < 512; ++bit) {
    Signature changed = signature;
    changed.bytes[bit / 8] = static_cast<std::uint8_t>(changed.bytes[bit / 8] ^ (1U << (bit % 8)));
    EXPECT_FALSE(verify(pair.public_key(), message, changed)) << bit;
  }
  message[0] ^= 1;
  EXPECT_FALSE(verify(pair.public_key(), message, signature));
}

TEST(Sign, SmallOrderKeysAreRefused) {
  EXPECT_FALSE(PublicKey::parse("0100000000000000000000000000000000000000000000000000000000000000").ok());
  EXPECT_FALSE(PublicKey::parse("0000000000000000000000000000000000000000000000000000000000000000").ok());
  EXPECT_FALSE(PublicKey::parse("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f").ok());
  EXPECT_TRUE(PublicKey::parse(vectors[0].public_key).ok());
}

TEST(Sign, AKeyFileIsPrivateAndNeverOverwritten) {
  const std::string path = testing::TempDir() + "ufab-key-" + std::to_string(::getpid());
  const KeyPair pair = pair_from(vectors[0].seed);
  ASSERT_TRUE(pair.save(path).ok());
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(KeyPair::load(path).value().public_key(), pair.public_key());
  const Status again = KeyPair::generate().save(path);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  const auto open_to_all = KeyPair::load(path);
  ASSERT_FALSE(open_to_all.ok());
  EXPECT_EQ(open_to_all.error().code, ErrorCode::denied);
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace ufab
