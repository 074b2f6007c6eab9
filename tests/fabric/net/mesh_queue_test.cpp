#include "fabric/net/mesh_queue.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace ufab {
namespace {

constexpr std::size_t write_max = std::size_t{80} << 10;

SharedBytes message(std::size_t size, std::uint8_t fill) {
  return std::make_shared<const Bytes>(size, fill);
}

std::vector<Frame> frames_of(ByteView bytes) {
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    const auto header = decode_frame_header(bytes.first(kFrameHeaderSize), mesh_frame_payload_max).value();
    const ByteView payload = bytes.subspan(kFrameHeaderSize, header.length);
    frames.push_back({header.type, header.id, Bytes(payload.begin(), payload.end())});
    bytes = bytes.subspan(kFrameHeaderSize + header.length);
  }
  return frames;
}

std::vector<Frame> next_write(MeshQueue& queue) {
  Bytes out;
  queue.fill(out, write_max);
  EXPECT_LE(out.size(), write_max);
  return frames_of(out);
}

// The first byte of each message on a channel, in the order in which they leave.
std::vector<int> drain(MeshQueue& queue, std::size_t channel) {
  std::vector<int> order;
  MeshAssembler assembler(std::size_t{1} << 30);
  while (!queue.empty()) {
    for (Frame& frame : next_write(queue)) {
      const std::uint64_t id = frame.id;
      auto whole = assembler.take(std::move(frame));
      EXPECT_TRUE(whole.ok()) << whole.error().message;
      if (whole.ok() && *whole && id == channel) order.push_back((**whole)[0]);
    }
  }
  return order;
}

TEST(MeshQueue, WhatWaitsIsOneWriteMostUrgentFirst) {
  MeshQueue queue({});
  queue.push(2, message(100, 1));
  queue.push(1, message(100, 2));
  queue.push(0, message(100, 3));
  queue.push(0, message(100, 4));
  const auto frames = next_write(queue);
  ASSERT_EQ(frames.size(), 4U);
  EXPECT_EQ(frames[0].payload[0], 3);
  EXPECT_EQ(frames[1].payload[0], 4);
  EXPECT_EQ(frames[2].payload[0], 2);
  EXPECT_EQ(frames[3].payload[0], 1);
  EXPECT_TRUE(queue.empty());
}

TEST(MeshQueue, AVoteWaitsForAtMostOnePieceOfALargeMessage) {
  MeshQueue queue({});
  queue.push(1, message(std::size_t{8} << 20, 1));
  std::size_t pieces = 0;
  for (int i = 0; i < 10; ++i) pieces += next_write(queue).size();
  EXPECT_EQ(pieces, 10U);
  queue.push(0, message(200, 2));
  const auto frames = next_write(queue);
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].type, frame_mesh_message);
  EXPECT_EQ(frames[0].payload[0], 2);
  EXPECT_EQ(frames[1].type, frame_mesh_piece);
  pieces += 1;
  while (!queue.empty()) pieces += next_write(queue).size();
  EXPECT_EQ(pieces, 128U);
}

TEST(MeshQueue, RecordsGiveWayToVotesAndNeverTheOtherWayRound) {
  MeshQueue queue({1000, 100});
  for (int i = 0; i < 10; ++i) queue.push(2, message(100, static_cast<std::uint8_t>(i)));
  for (int i = 0; i < 4; ++i) queue.push(0, message(100, static_cast<std::uint8_t>(10 + i)));
  EXPECT_EQ(queue.dropped(), (MeshQueue::Counts{0, 0, 4}));
  queue.push(2, message(100, 20));  // the oldest record again
  EXPECT_EQ(queue.dropped(), (MeshQueue::Counts{0, 0, 5}));
  for (int i = 0; i < 6; ++i) queue.push(0, message(100, static_cast<std::uint8_t>(14 + i)));
  EXPECT_EQ(queue.dropped(), (MeshQueue::Counts{0, 0, 11}));
  queue.push(2, message(100, 30));  // only votes are left: it is dropped itself
  EXPECT_EQ(queue.dropped(), (MeshQueue::Counts{0, 0, 12}));
  queue.push(0, message(100, 40));  // the oldest vote
  EXPECT_EQ(queue.dropped(), (MeshQueue::Counts{1, 0, 12}));
  EXPECT_EQ(queue.bytes(), 1000U);
  EXPECT_EQ(drain(queue, 0), (std::vector<int>{11, 12, 13, 14, 15, 16, 17, 18, 19, 40}));
}

TEST(MeshQueue, AMessageOfWhichAPieceHasLeftIsNotDroppedAndBeginsAgainOnANewLink) {
  MeshQueue queue({500'000, 100});
  queue.push(2, message(300'000, 1));
  ASSERT_EQ(next_write(queue).size(), 1U);
  queue.push(2, message(200'000, 2));
  queue.push(2, message(100'000, 3));  // the second gives way, not the first
  EXPECT_EQ(queue.dropped()[2], 1U);
  queue.push(2, message(500'001, 4));  // never fits: nothing gives way for it
  EXPECT_EQ(queue.dropped()[2], 2U);
  EXPECT_EQ(queue.messages(), 2U);
  queue.restart();
  EXPECT_EQ(drain(queue, 2), (std::vector<int>{1, 3}));
  EXPECT_EQ(queue.bytes(), 0U);
}

TEST(MeshQueue, TheNumberOfMessagesIsBoundedToo) {
  MeshQueue queue({1 << 20, 3});
  for (int i = 0; i < 5; ++i) queue.push(1, message(1, static_cast<std::uint8_t>(i)));
  EXPECT_EQ(queue.messages(), 3U);
  queue.clear();
  EXPECT_EQ(queue.dropped()[1], 5U);
  EXPECT_TRUE(queue.empty());
}

struct Push {
  std::size_t channel = 0;
  std::size_t size = 1;
  bool write = false;  // after it
};

RC_GTEST_PROP(MeshQueueProperty, EverythingArrivesInOrderOrIsCountedAndTheBoundsHold, ()) {
  const MeshQueue::Limits limits{*rc::gen::inRange<std::size_t>(1, 600'000),
                                 *rc::gen::inRange<std::size_t>(1, 20)};
  MeshQueue queue(limits);
  const auto pushes = *rc::gen::container<std::vector<Push>>(rc::gen::build<Push>(
      rc::gen::set(&Push::channel, rc::gen::inRange<std::size_t>(0, mesh_channels)),
      rc::gen::set(&Push::size, rc::gen::oneOf(rc::gen::inRange<std::size_t>(4, 1000),
                                               rc::gen::inRange<std::size_t>(60'000, 200'000))),
      rc::gen::set(&Push::write)));
  MeshAssembler assembler(200'000);
  std::array<std::vector<std::uint32_t>, mesh_channels> arrived;
  const auto write = [&] {
    for (Frame& frame : next_write(queue)) {
      const std::uint64_t channel = frame.id;
      auto whole = assembler.take(std::move(frame));
      RC_ASSERT(whole.ok());
      if (!*whole) continue;
      std::uint32_t number = 0;
      for (std::size_t i = 0; i < 4; ++i) number |= std::uint32_t{(**whole)[i]} << (8 * i);
      RC_ASSERT((*whole)->size() == pushes[number].size && channel == pushes[number].channel);
      arrived[channel].push_back(number);
    }
  };
  MeshQueue::Counts pushed{};
  for (std::uint32_t number = 0; number < pushes.size(); ++number) {
    Bytes bytes(pushes[number].size);
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    queue.push(pushes[number].channel, std::make_shared<const Bytes>(std::move(bytes)));
    ++pushed[pushes[number].channel];
    RC_ASSERT(queue.bytes() <= limits.bytes && queue.messages() <= limits.messages);
    if (pushes[number].write) write();
  }
  while (!queue.empty()) write();
  RC_ASSERT(queue.bytes() == 0U);
  for (std::size_t channel = 0; channel < mesh_channels; ++channel) {
    RC_ASSERT(std::is_sorted(arrived[channel].begin(), arrived[channel].end()));
    RC_ASSERT(arrived[channel].size() == queue.sent()[channel]);
    RC_ASSERT(queue.sent()[channel] + queue.dropped()[channel] == pushed[channel]);
  }
}

}  // namespace
}  // namespace ufab
