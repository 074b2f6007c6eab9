// The files that trainer, node and verifier exchange: contributions, window claims, gangs, digests.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "fabric/base/file.h"
#include "fabric/train/contributions.h"
#include "fabric/train/gang.h"
#include "fabric/train/state.h"
#include "fabric/train/sum_pack.h"
#include "fabric/train/window.h"
#include "tests/fabric/support/process.h"

namespace ufab {
namespace {

Contributions example_contributions(std::uint32_t steps) {
  Contributions c{3, 301, 2, 2, {}};
  for (std::uint32_t i = 0; i < steps; ++i) {
    c.steps.push_back({sha256(std::string(1, static_cast<char>('a' + i))), {i, 0x0102030405060708ULL * i}});
  }
  return c;
}

TEST(ContributionsTest, EncodingIsTheRecordedBytesAndDecodesToTheSame) {
  const Contributions c = example_contributions(2);
  const Bytes bytes = encode_contributions(c);
  EXPECT_EQ(to_hex(ByteView(bytes).first(51)),
            "14000000756661622e636f6e747269627574696f6e732f3103000000"  // text, window
            "2d010000000000000200000002000000"  // first step, first micro-batch, micro-batches
            "02000000ca9781");
  EXPECT_EQ(bytes.size(), 24U + 4 + 8 + 4 + 4 + 4 + 2 * (32 + 16));
  const auto decoded = decode_contributions(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_EQ(*decoded, c);
}

TEST(ContributionsTest, AnyTruncationAndAnyExtraByteIsRefused) {
  Bytes bytes = encode_contributions(example_contributions(3));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_contributions(ByteView(bytes).first(size)).ok()) << size;
  }
  bytes.push_back(0);
  EXPECT_FALSE(decode_contributions(bytes).ok());
}

TEST(ContributionsTest, RootIsTheRfc9162TreeOverSteps) {
  const Contributions c = example_contributions(3);
  const auto leaf = [&](std::size_t i) {
    Bytes bytes{0};
    bytes.insert(bytes.end(), c.steps[i].sum_digest.bytes.begin(), c.steps[i].sum_digest.bytes.end());
    for (const std::uint64_t f : c.steps[i].fingerprints) {
      for (int b = 0; b < 8; ++b) bytes.push_back(static_cast<std::uint8_t>(f >> (8 * b)));
    }
    return sha256(bytes);
  };
  const auto node = [](const Digest& left, const Digest& right) {
    Bytes bytes{1};
    bytes.insert(bytes.end(), left.bytes.begin(), left.bytes.end());
    bytes.insert(bytes.end(), right.bytes.begin(), right.bytes.end());
    return sha256(bytes);
  };
  EXPECT_EQ(c.root(), node(node(leaf(0), leaf(1)), leaf(2)));
  EXPECT_EQ(example_contributions(1).root(), leaf(0));
}

WindowClaim example_claim() {
  return {3, 301, 400, sha256("start"), sha256("end"), sha256("root"), 200, 153600, 987654321, 11, 22, 33};
}

TEST(WindowClaimTest, JsonIsTheDocumentedLineAndReadsBack) {
  const std::string line = window_claim_json(example_claim());
  EXPECT_EQ(line,
            R"({"schema":"ufab.window/1","window":3,"first_step":301,"end_step":400,"start_digest":")" +
                sha256("start").str() + R"(","end_digest":")" + sha256("end").str() +
                R"(","contributions_root":")" + sha256("root").str() +
                R"(","micro_batches":200,"tokens":153600,"work_flop":987654321,"wall_us":11,"cpu_us":22,)"
                R"("max_rss_kib":33})");
  const auto parsed = parse_window_claim(line);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, example_claim());
}

TEST(WindowClaimTest, MissingFieldsAndOtherSchemasAreRefused) {
  const std::string line = window_claim_json(example_claim());
  for (std::string bad : {std::string("{}"), std::string("[]"), line.substr(0, line.size() - 1),
                          std::string(line).replace(line.find("/1"), 2, "/2"),
                          std::string(line).replace(line.find("301"), 3, "-31"),
                          std::string(line).replace(line.find("sha256"), 6, "sha512")}) {
    EXPECT_FALSE(parse_window_claim(bad).ok()) << bad;
  }
}

TEST(WindowClaimTest, ATornLastLineIsLeftOutAndADamagedOneIsNamed) {
  const testing::TemporaryFolder folder;
  const std::string line = window_claim_json(example_claim()) + "\n";
  const std::string path = folder / "windows.jsonl";
  ASSERT_TRUE(write_file_atomic(path, as_bytes(line + line + line.substr(0, 40))).ok());
  const auto claims = load_window_claims(folder.path());
  ASSERT_TRUE(claims.ok());
  EXPECT_EQ(claims->size(), 2U);
  ASSERT_TRUE(write_file_atomic(path, as_bytes(line + "nonsense\n" + line)).ok());
  const auto damaged = load_window_claims(folder.path());
  ASSERT_FALSE(damaged.ok());
  EXPECT_NE(damaged.error().message.find("windows.jsonl:2: "), std::string::npos) << damaged.error().message;
}

Gang example_gang() {
  Gang gang;
  gang.job = 7;
  gang.self = 1;
  gang.members.push_back({"alpha", KeyPair::from_seed({1}).public_key(), "127.0.0.1", 4001, 0, 2});
  gang.members.push_back({"beta", KeyPair::from_seed({2}).public_key(), "node.example", 4002, 2, 6});
  gang.bridge_secret = "/somewhere/key";
  return gang;
}

TEST(GangTest, JsonReadsBackAndCoverIsChecked) {
  const auto gang = parse_gang(gang_json(example_gang()), "gang.json");
  ASSERT_TRUE(gang.ok()) << gang.error().message;
  EXPECT_EQ(gang_json(*gang), gang_json(example_gang()));
  EXPECT_EQ(gang->self_member().name, "beta");
  EXPECT_TRUE(check_cover(*gang, 8).ok());
  EXPECT_FALSE(check_cover(*gang, 9).ok());
  Gang hole = *gang;
  hole.members[1].first_micro_batch = 3;
  EXPECT_FALSE(check_cover(hole, 9).ok());
  EXPECT_TRUE(check_cover(gang_of_one(8), 8).ok());
}

TEST(GangTest, EachBadInputIsOneLine) {
  const std::string good = gang_json(example_gang());
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::pair<std::string, const char*> cases[] = {
      {"", "gang.json: not a JSON object"},
      {replaced("gang/1", "gang/2"), "schema must be ufab.gang/1"},
      {replaced("\"self\":1", "\"self\":2"), "self is not a member"},
      {replaced("\"hub\":0", "\"hub\":-1"), "hub must be a whole number"},
      {replaced("\"port\":4001", "\"port\":70000"), "member 0: port must be"},
      {replaced("\"beta\"", "\"alpha\""), "two members have the name alpha"},
      {replaced("\"beta\"", "\"../beta\""), "member 1: name must be"},
      {replaced("\"job\":7", "\"jobs\":7"), "job is missing"},
      {replaced("\"attempt\":1", "\"attempts\":1"), "unknown field 'attempts'"},
      {replaced(example_gang().members[0].bridge_key.hex(), std::string(64, '0')), "member 0: bridge_key"},
  };
  for (const auto& [text, expected] : cases) {
    const auto gang = parse_gang(text, "gang.json");
    ASSERT_FALSE(gang.ok()) << text;
    EXPECT_NE(gang.error().message.find(expected), std::string::npos) << gang.error().message;
    EXPECT_EQ(gang.error().message.find('\n'), std::string::npos);
  }
}

TEST(SumPackTest, AnySumsComeBackAndTakeTheFewestBytes) {
  EXPECT_TRUE(rc::check("unpack(pack(sums)) == sums", [] {
    const int bits = *rc::gen::inRange(1, 33);
    auto sums = *rc::gen::nonEmpty<std::vector<std::int32_t>>();
    for (auto& sum : sums) sum >>= 32 - bits;
    Bytes bytes;
    pack_sums(sums, bytes);
    const int width = bytes[0];
    RC_ASSERT(bytes.size() == 1 + sums.size() * static_cast<std::size_t>(width));
    RC_ASSERT(width <= (bits + 7) / 8);
    std::vector<std::int32_t> back(sums.size());
    unpack_sums(ByteView(bytes).subspan(1), width, back);
    RC_ASSERT(back == sums);
  }));
}

TEST(SumPackTest, WidthsChangeExactlyWhereTheSignBitNeedsIt) {
  for (int width = 1; width < 4; ++width) {
    const std::int32_t top = std::int32_t{1} << (8 * width - 1);
    EXPECT_EQ(pack_width(std::vector<std::int32_t>{top - 1, -top}), width);
    EXPECT_EQ(pack_width(std::vector<std::int32_t>{top}), width + 1);
    EXPECT_EQ(pack_width(std::vector<std::int32_t>{-top - 1}), width + 1);
  }
  Bytes bytes;
  pack_sums(std::vector<std::int32_t>{-2, 300}, bytes);
  EXPECT_EQ(to_hex(bytes), "02feff2c01");
}

TEST(StateDigestTest, EveryPartOfTheStateAndNothingElseDecidesIt) {
  TrainState state;
  state.step = 5;
  state.exponents = {40, 7};
  state.params.assign(300'000, 1.0F);
  state.m.resize(300'000);
  state.v.resize(300'000);
  const StateDigests base = state_digest(state);
  const auto changed = [&](auto change) {
    TrainState copy = state;
    change(copy);
    return state_digest(copy);
  };
  EXPECT_NE(changed([](TrainState& s) { s.step = 6; }).state, base.state);
  EXPECT_NE(changed([](TrainState& s) { s.exponents[1] = -40; }).state, base.state);
  EXPECT_NE(changed([](TrainState& s) { s.m[299'999] = 1; }).state, base.state);
  EXPECT_NE(changed([](TrainState& s) { s.v[0] = 1; }).state, base.state);
  EXPECT_NE(changed([](TrainState& s) { std::swap(s.m, s.params); }).state, base.state);
  EXPECT_NE(changed([](TrainState& s) { s.params[262'144] = -1; }).parameters, base.parameters);
  EXPECT_EQ(changed([](TrainState& s) { s.step = 6; }).parameters, base.parameters);
}

TEST(StateDigestTest, ParametersDigestIsTheRecordedOne) {
  TrainState state;
  state.exponents = {0};
  state.params = {1.0F, -2.5F};
  state.m = state.v = {0, 0};
  Digest leaf = sha256(from_hex("0000803f000020c0").value());
  Bytes root = from_hex("11000000756661622e706172616d65746572732f310100000000000000").value();
  root.insert(root.end(), leaf.bytes.begin(), leaf.bytes.end());
  EXPECT_EQ(state_digest(state).parameters, sha256(root));
}

}  // namespace
}  // namespace ufab
