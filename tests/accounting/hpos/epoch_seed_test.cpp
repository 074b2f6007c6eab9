#include "accounting/hpos/epoch_seed.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

namespace ufab::hpos {
namespace {

SeedShare share(OrgId validator, std::uint8_t fill) {
  SeedShare made{validator, {}};
  made.output.bytes.fill(fill);
  return made;
}

// The layout, written out by hand.
TEST(EpochSeed, TheAlphaNamesChainEpochAndTheSeedBefore) {
  Digest chain;
  chain.bytes.fill(0xC1);
  Digest previous;
  previous.bytes.fill(0x5E);
  std::string expected = "ufab epoch alpha 1\n" + std::string(32, '\xC1');
  expected += std::string("\x02\x01\0\0\0\0\0\0", 8) + std::string(32, '\x5E');
  EXPECT_EQ(as_text(epoch_alpha(chain, 0x0102, previous)), expected);
}

TEST(EpochSeed, TheSeedIsTheHashOfTheDocumentedLayout) {
  Digest previous;
  previous.bytes.fill(0x5E);
  const std::string head =
      "ufab epoch seed 1\n" + std::string(32, '\x5E') + std::string("\x07\0\0\0\0\0\0\0", 8);
  const SeedShare shares[] = {share(256, 0xBB), share(3, 0xAA)};
  EXPECT_EQ(epoch_seed(previous, 7, shares).value(),
            sha256(head + std::string("\x02\0\0\0\x03\0\0\0", 8) + std::string(64, '\xAA') +
                   std::string("\0\x01\0\0", 4) + std::string(64, '\xBB')));
  EXPECT_EQ(epoch_seed(previous, 7, {}).value(), sha256(head + std::string(4, '\0')));
}

TEST(EpochSeed, TwoSharesOfOneValidatorAreRefused) {
  const SeedShare equal[] = {share(4, 1), share(9, 2), share(4, 1)};
  const SeedShare differing[] = {share(9, 2), share(4, 1), share(4, 3)};
  for (const auto& shares : {std::span(equal), std::span(differing)}) {
    const auto seed = epoch_seed({}, 1, shares);
    ASSERT_FALSE(seed.ok());
    EXPECT_EQ(seed.error().code, ErrorCode::invalid);
    EXPECT_EQ(seed.error().message, "validator 4 has two shares in one epoch seed");
  }
}

TEST(EpochSeed, DependsOnEveryInputAndNotOnTheOrderOfTheShares) {
  EXPECT_TRUE(rc::check("seed", [] {
    const auto ids = *rc::gen::nonEmpty(rc::gen::arbitrary<std::set<OrgId>>());
    std::vector<SeedShare> shares;
    for (const OrgId id : ids) shares.push_back(share(id, *rc::gen::arbitrary<std::uint8_t>()));
    Digest previous;
    previous.bytes.fill(*rc::gen::arbitrary<std::uint8_t>());
    const auto epoch = *rc::gen::arbitrary<std::uint64_t>();
    const Digest seed = epoch_seed(previous, epoch, shares).value();

    std::vector<SeedShare> turned = shares;
    std::rotate(turned.begin(), turned.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(turned)),
                turned.end());
    std::reverse(turned.begin(), turned.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, std::ssize(turned)));
    RC_ASSERT(epoch_seed(previous, epoch, turned).value() == seed);

    RC_ASSERT(epoch_seed(previous, epoch + 1, shares).value() != seed);
    previous.bytes[*rc::gen::inRange<std::size_t>(0, 32)] ^= 1;
    RC_ASSERT(epoch_seed(previous, epoch, shares).value() != seed);
    previous = {};
    const Digest base = epoch_seed(previous, epoch, shares).value();
    const auto at = *rc::gen::inRange<std::size_t>(0, shares.size());
    std::vector<SeedShare> changed = shares;
    changed[at].output.bytes[*rc::gen::inRange<std::size_t>(0, 64)] ^= 1;
    RC_ASSERT(epoch_seed(previous, epoch, changed).value() != base);
    changed = shares;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at));  // withheld
    RC_ASSERT(epoch_seed(previous, epoch, changed).value() != base);
  }));
}

// What the header says of withholding: two validators who see all others' outputs choose among four seeds.
TEST(EpochSeed, EachWithheldOutputIsOneBitOfChoice) {
  const Digest previous = sha256("previous");
  std::vector<SeedShare> honest;
  std::vector<SeedShare> last;
  for (OrgId id = 1; id <= 5; ++id) {
    std::array<std::uint8_t, 32> secret{};
    secret[0] = static_cast<std::uint8_t>(id);
    const KeyPair pair = KeyPair::from_seed(secret);
    const Bytes alpha = epoch_alpha(sha256("chain"), 9, previous);
    const vrf::Proof proof = vrf::prove(pair, alpha);
    (id <= 3 ? honest : last).push_back({id, vrf::verify(pair.public_key(), alpha, proof).value()});
  }
  std::set<Digest> seeds;
  for (unsigned subset = 0; subset < 4; ++subset) {
    std::vector<SeedShare> shares = honest;
    for (std::size_t i = 0; i < 2; ++i) {
      if ((subset >> i & 1) != 0) shares.push_back(last[i]);
    }
    seeds.insert(epoch_seed(previous, 9, shares).value());
  }
  EXPECT_EQ(seeds.size(), 4U);
}

}  // namespace
}  // namespace ufab::hpos
