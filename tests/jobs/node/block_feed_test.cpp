#include "jobs/node/block_feed.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "fabric/base/codec.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;

Bytes block_at(std::uint64_t height) {
  return Bytes(3, static_cast<std::uint8_t>(height));
}

// A node with blocks 0 to `head`, so many in an answer.
class Source {
 public:
  std::uint64_t head = 100;
  std::size_t at_once = 4;
  std::function<void(Answer&)> change;  // of each answer

  Result<Answer> answer(const Request& request) {
    const std::lock_guard guard(mutex_);
    const std::uint64_t from = json_number(request.params, "from").value();
    asked_.push_back(from);
    Writer writer;
    for (std::uint64_t at = from; at <= head && at < from + at_once; ++at) writer.blob(block_at(at));
    Answer answer{{{"head", head}}, writer.take()};
    if (change) change(answer);
    return answer;
  }
  [[nodiscard]] std::vector<std::uint64_t> asked() const {
    const std::lock_guard guard(mutex_);
    return asked_;
  }
  BlockFeed::Ask ask() {
    return [this](const Request& request) { return answer(request); };
  }
  // Until that many were asked; the feed asks on a thread of its own.
  void wait_for_asks(std::size_t count) const {
    for (int tries = 0; tries < 5000 && asked().size() < count; ++tries) std::this_thread::sleep_for(1ms);
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::uint64_t> asked_;
};

// A ledger that takes blocks in order.
struct Sink {
  std::uint64_t next = 1;
  Status take(const std::vector<Bytes>& blocks, std::size_t count_max = SIZE_MAX) {
    for (std::size_t i = 0; i < blocks.size() && i < count_max; ++i) {
      if (blocks[i] != block_at(next)) return Error{ErrorCode::corrupt, "another block"};
      ++next;
    }
    return {};
  }
};

TEST(BlockFeed, AsksForTheNextBlocksWhileTheseAreTakenIn) {
  Source source;
  BlockFeed feed(source.ask());
  Sink sink;
  ASSERT_EQ(feed.fetch(1, 7).value(), 100u);
  ASSERT_TRUE(
      feed.take(
              [&](const auto& blocks) {
                source.wait_for_asks(2);
                EXPECT_EQ(source.asked(), (std::vector<std::uint64_t>{1, 5})) << "before these are taken";
                return sink.take(blocks);
              },
              true)
          .ok());
  ASSERT_TRUE(feed.fetch(5, 7).ok());
  EXPECT_EQ(source.asked().size(), 2u) << "they were there";
  ASSERT_TRUE(feed.take([&](const auto& blocks) { return sink.take(blocks); }, false).ok());
  EXPECT_EQ(sink.next, 9u);
}

TEST(BlockFeed, DoesNotAskAheadAtTheHeadOrWhenToldNotTo) {
  Source source;
  source.head = 4;
  BlockFeed feed(source.ask());
  ASSERT_TRUE(feed.fetch(1, 0).ok());
  ASSERT_TRUE(feed.take([](const auto&) { return Status(); }, true).ok());
  source.head = 100;
  ASSERT_TRUE(feed.fetch(5, 0).ok());
  ASSERT_TRUE(feed.take([](const auto&) { return Status(); }, false).ok());
  ASSERT_TRUE(feed.fetch(9, 0).ok());
  EXPECT_EQ(source.asked(), (std::vector<std::uint64_t>{1, 5, 9}));
}

RC_GTEST_PROP(BlockFeed, EveryBlockComesOnceAndInOrderHoweverFewAreTakenAtATime, ()) {
  Source source;
  source.head = *rc::gen::inRange<std::uint64_t>(1, 120);
  BlockFeed feed(source.ask());
  Sink sink;
  for (int round = 0; sink.next <= source.head && round < 2000; ++round) {
    source.at_once = *rc::gen::inRange<std::size_t>(1, 9);
    RC_ASSERT(feed.fetch(sink.next, 0).ok());
    // What follows the last certificate is left, now and then all of it.
    const auto count = round % 3 == 0 ? 0 : *rc::gen::inRange<std::size_t>(1, 9);
    const bool ahead = *rc::gen::arbitrary<bool>();
    RC_ASSERT(feed.take([&](const auto& blocks) { return sink.take(blocks, count); }, ahead).ok());
  }
  RC_ASSERT(sink.next == source.head + 1);
}

TEST(BlockFeed, WhatWasFetchedAheadIsForgottenWhenABlockIsRefused) {
  Source source;
  BlockFeed feed(source.ask());
  ASSERT_TRUE(feed.fetch(1, 0).ok());
  const Error refused{ErrorCode::corrupt, "a forged block"};
  EXPECT_EQ(feed.take([&](const auto&) { return refused; }, true).error().message, refused.message);
  ASSERT_TRUE(feed.fetch(1, 0).ok());
  EXPECT_EQ(source.asked(), (std::vector<std::uint64_t>{1, 5, 1}));
}

TEST(BlockFeed, AnAnswerThatBreaksOffGivesWhatItHasAndAnError) {
  Source source;
  source.change = [](Answer& answer) { answer.body.pop_back(); };
  BlockFeed feed(source.ask());
  Sink sink;
  ASSERT_TRUE(feed.fetch(1, 0).ok());
  EXPECT_FALSE(feed.take([&](const auto& blocks) { return sink.take(blocks); }, true).ok());
  EXPECT_EQ(sink.next, 4u);
  EXPECT_EQ(source.asked().size(), 1u) << "nothing more is asked of it meanwhile";
}

TEST(BlockFeed, BlocksWithoutTheirCertificateYetAreNoError) {
  Source source;
  BlockFeed feed(source.ask());
  ASSERT_TRUE(feed.fetch(1, 0).ok());
  const Error missing{ErrorCode::unavailable, "the certificate is missing"};
  EXPECT_TRUE(feed.take([&](const auto&) { return missing; }, true).ok());
  Sink sink;
  ASSERT_TRUE(feed.fetch(1, 0).ok());
  EXPECT_TRUE(feed.take([&](const auto& blocks) { return sink.take(blocks); }, false).ok());
  EXPECT_EQ(sink.next, 9u) << "with those after them";
}

TEST(BlockFeed, ACertificateThatIsFarAwayIsReached) {
  Source source;
  source.at_once = 1;
  BlockFeed feed(source.ask());
  Sink sink;
  for (int round = 0; round < 10 && sink.next == 1; ++round) {
    ASSERT_TRUE(feed.fetch(1, 0).ok());
    ASSERT_TRUE(feed.take(
                        [&](const auto& blocks) -> Status {
                          if (blocks.size() < 6)
                            return Error{ErrorCode::unavailable, "the certificate is missing"};
                          return sink.take(blocks);
                        },
                        false)
                    .ok());
  }
  EXPECT_EQ(sink.next, 7u);
}

TEST(BlockFeed, AnErrorOfTheNodeIsReturned) {
  BlockFeed feed([](const Request&) -> Result<Answer> { return Error{ErrorCode::timeout, "no answer"}; });
  EXPECT_EQ(feed.fetch(1, 0).error().code, ErrorCode::timeout);
}

TEST(BlockFeed, EndsOnlyWhenWhatItAskedForIsAnswered) {
  std::atomic<bool> answered{false};
  Source source;
  {
    BlockFeed feed([&](const Request& request) {
      if (!source.asked().empty()) {
        std::this_thread::sleep_for(50ms);
        answered = true;
      }
      return source.answer(request);
    });
    ASSERT_TRUE(feed.fetch(1, 0).ok());
    ASSERT_TRUE(feed.take([](const auto&) { return Status(); }, true).ok());
  }
  EXPECT_TRUE(answered);
}

}  // namespace
}  // namespace ufab::jobs
