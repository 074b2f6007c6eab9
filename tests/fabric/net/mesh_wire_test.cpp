#include "fabric/net/mesh_wire.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "fabric/base/codec.h"

namespace ufab {
namespace {

Frame piece(std::uint64_t channel, std::size_t size, std::size_t begin, ByteView bytes) {
  Writer writer;
  writer.u32(static_cast<std::uint32_t>(size));
  writer.u32(static_cast<std::uint32_t>(begin));
  writer.raw(bytes);
  return {frame_mesh_piece, channel, writer.take()};
}

MeshHello hello(std::uint32_t lowest, std::uint32_t highest, std::string_view chain = "chain") {
  return {lowest, highest, sha256(chain), 5};
}

TEST(MeshWire, AHelloIsReadBackExactlyAndInThisLayout) {
  const MeshHello one{1, 3, Digest::from(Bytes(32, 0xab)), 0x0102};
  const Bytes bytes = encode_mesh_hello(one);
  std::string expected = "0100000003000000";
  for (int i = 0; i < 32; ++i) expected += "ab";
  EXPECT_EQ(to_hex(bytes), expected + "0201000000000000");
  EXPECT_EQ(decode_mesh_hello(bytes).value(), one);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_mesh_hello(ByteView(bytes).first(size)).ok());
  }
  EXPECT_FALSE(decode_mesh_hello(encode_mesh_hello({3, 2, {}, 0})).ok());
}

TEST(MeshWire, TheHighestVersionInCommonIsUsed) {
  EXPECT_EQ(agree_mesh_version(hello(1, 3), hello(2, 5)).value(), 3U);
  EXPECT_EQ(agree_mesh_version(hello(2, 5), hello(1, 3)).value(), 3U);
  EXPECT_EQ(agree_mesh_version(hello(2, 2), hello(1, 9)).value(), 2U);
  const auto none = agree_mesh_version(hello(1, 2), hello(3, 4));
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().message, "protocol versions 1 to 2 here, 3 to 4 there: none in common");
  const auto other = agree_mesh_version(hello(1, 1), hello(1, 1, "another"));
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("chain "), std::string::npos);
}

TEST(MeshWire, ARefusalIsOnePrintableLineWhateverThePeerWrote) {
  EXPECT_EQ(decode_mesh_refusal(as_bytes("no\x1b[2J\n\xff")), "no?[2J??");
  EXPECT_EQ(decode_mesh_refusal(Bytes(10'000, 'a')).size(), mesh_refusal_max);
}

TEST(MeshAssembler, PiecesOfSeveralChannelsMayMixAndThoseOfOneMayNot) {
  MeshAssembler assembler(1000);
  const Bytes bytes{1, 2, 3, 4, 5, 6};
  const ByteView view(bytes);
  EXPECT_FALSE(assembler.take(piece(1, 6, 0, view.first(4)))->has_value());
  EXPECT_FALSE(assembler.take(piece(2, 6, 0, view.first(1)))->has_value());
  EXPECT_EQ(**assembler.take({frame_mesh_message, 0, {9}}), Bytes{9});
  EXPECT_EQ(**assembler.take(piece(1, 6, 4, view.subspan(4))), bytes);
  EXPECT_EQ(assembler.take({frame_mesh_message, 2, {9}}).error().message,
            "a message between the pieces of another");
}

TEST(MeshAssembler, WhatNoCorrectPeerSendsIsRefused) {
  const Bytes bytes(10, 1);
  const auto refused = [&](const std::vector<Frame>& frames) {
    MeshAssembler assembler(100);
    for (std::size_t i = 0; i + 1 < frames.size(); ++i) EXPECT_TRUE(assembler.take(frames[i]).ok());
    return !assembler.take(frames.back()).ok();
  };
  EXPECT_TRUE(refused({piece(1, 101, 0, bytes)}));                          // too large
  EXPECT_TRUE(refused({piece(1, 0xffffffff, 0, bytes)}));                   // far too large
  EXPECT_TRUE(refused({piece(1, 20, 5, bytes)}));                           // begins in the middle
  EXPECT_TRUE(refused({piece(1, 9, 0, bytes)}));                            // more than it says
  EXPECT_TRUE(refused({piece(1, 0, 0, bytes)}));                            // of nothing
  EXPECT_TRUE(refused({piece(1, 20, 0, bytes), piece(1, 20, 0, bytes)}));   // again
  EXPECT_TRUE(refused({piece(1, 20, 0, bytes), piece(1, 21, 10, bytes)}));  // another size
  EXPECT_TRUE(refused({piece(1, 15, 0, bytes), piece(1, 15, 10, bytes)}));  // beyond the end
  EXPECT_TRUE(refused({piece(1, 20, 0, {})}));                              // empty
  EXPECT_TRUE(refused({piece(3, 20, 0, bytes)}));                           // unknown channel
  EXPECT_TRUE(refused({{frame_mesh_piece, 0, Bytes(7)}}));                  // no header
  EXPECT_TRUE(refused({{frame_mesh_message, 3, {1}}}));
  EXPECT_TRUE(refused({{frame_mesh_message, ~std::uint64_t{0}, {1}}}));
  EXPECT_TRUE(refused({{frame_mesh_message, 0, {}}}));
  EXPECT_TRUE(refused({{frame_mesh_message, 0, Bytes(101)}}));
  EXPECT_TRUE(refused({{frame_mesh_hello, 0, {1}}}));
}

RC_GTEST_PROP(MeshAssemblerProperty, RandomPiecesGiveBackOnlyWhatWasSentWholeAndInOrder, ()) {
  constexpr std::size_t message_max = 64;
  MeshAssembler assembler(message_max);
  std::array<Bytes, mesh_channels> sent;  // of the unfinished message
  std::array<std::size_t, mesh_channels> size{};
  for (int i = 0; i < 200; ++i) {
    const auto channel = *rc::gen::inRange<std::size_t>(0, mesh_channels);
    // Mostly what continues, sometimes anything.
    const bool any = *rc::gen::inRange(0, 8) == 0;
    const std::size_t whole =
        any || size[channel] == 0 ? *rc::gen::inRange<std::size_t>(0, 70) : size[channel];
    const std::size_t begin = any ? *rc::gen::inRange<std::size_t>(0, 70) : sent[channel].size();
    const Bytes bytes =
        *rc::gen::container<Bytes>(*rc::gen::inRange<std::size_t>(0, 30), rc::gen::arbitrary<std::uint8_t>());
    const bool right = !bytes.empty() && whole <= message_max && begin == sent[channel].size() &&
                       begin + bytes.size() <= whole && (size[channel] == 0 || size[channel] == whole);
    const auto taken = assembler.take(piece(channel, whole, begin, bytes));
    RC_ASSERT(taken.ok() == right);
    if (!right) continue;
    size[channel] = whole;
    sent[channel].insert(sent[channel].end(), bytes.begin(), bytes.end());
    RC_ASSERT(taken->has_value() == (sent[channel].size() == whole));
    if (!taken->has_value()) continue;
    RC_ASSERT(**taken == sent[channel]);
    sent[channel].clear();
    size[channel] = 0;
  }
}

}  // namespace
}  // namespace ufab
