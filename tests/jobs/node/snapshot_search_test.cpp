// A node that looks for a snapshot among nodes that lie, stall, or have none: whatever they do it ends with
// the right state or with none, soon, and knows who did what.
#include "jobs/node/snapshot_search.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/accounting/support/folder.h"
#include "tests/accounting/support/history.h"
#include "tests/accounting/support/snapshot_offer.h"

namespace ufab::jobs {
namespace {

using namespace std::chrono_literals;
using test::Folder;
using test::joined;
using test::Offer;
using test::offer_of;
using test::World;

constexpr std::uint32_t chunks_count = 4;
constexpr std::size_t chunk_lied_about = 1;
constexpr std::size_t piece_size = 1500;

// The same snapshot in so many chunks: how many there are is not under the state root.
Offer split(const Offer& offer, std::uint32_t chunks) {
  Offer result{offer.manifest, {}};
  result.manifest.index.chunks = chunks;
  for (const Bytes& chunk : offer.chunks) {
    Reader reader(chunk);
    for (std::size_t bucket = 0; bucket < StateTree::buckets_count / offer.chunks.size(); ++bucket) {
      if (bucket % (StateTree::buckets_count / chunks) == 0) result.chunks.emplace_back();
      const std::size_t begin = chunk.size() - reader.remaining();
      const std::uint32_t count = reader.u32();
      for (std::uint32_t i = 0; i < count; ++i) {
        reader.raw(17);
        reader.blob(chunk_size_max);
        reader.blob(chunk_size_max);
      }
      const auto from = chunk.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto to = chunk.end() - static_cast<std::ptrdiff_t>(reader.remaining());
      result.chunks.back().insert(result.chunks.back().end(), from, to);
    }
    EXPECT_FALSE(reader.failed());
  }
  return result;
}

// A chain that four validators make, and its last two snapshots.
struct Shared {
  World world = test::make_history();
  std::uint64_t epoch_blocks = world.state().params().epoch_blocks;
  std::uint64_t height = world.state().height() / epoch_blocks * epoch_blocks;
  Digest root = decode_block(world.blocks()[height])->header.state_root;
  Offer newest, older;

  Shared() : newest(at(height)), older(at(height - epoch_blocks)) {}
  static const Shared& get() {
    static const Shared shared;
    return shared;
  }

 private:
  [[nodiscard]] Offer at(std::uint64_t end) const {
    const Folder folder(test::memory_folder());
    LedgerOptions options;
    options.folder = folder.path("l");
    options.index = false;
    return split(offer_of(*joined(options, world.blocks(), end + 1)), chunks_count);
  }
};

// A node of that name; what `lie` changes of an answer is what it sends.
struct Node {
  using Lie = std::function<void(const Request& request, Result<Answer>& answer)>;
  std::string name;
  Lie lie;
  const Offer* offer = &Shared::get().newest;
  int asked = 0;
  std::set<std::uint64_t> chunks_asked = {};

  Result<Answer> answer(const Request& request) {
    ++asked;
    if (request.method == "chain.chunk") chunks_asked.insert(json_number(request.params, "chunk").value());
    Result<Answer> answer = piece(request);
    if (lie) lie(request, answer);
    return answer;
  }
  SnapshotPeer peer() {
    return {name, [this](const Request& request, std::chrono::milliseconds) { return answer(request); }};
  }

 private:
  [[nodiscard]] Result<Answer> piece(const Request& request) const {
    const std::uint64_t height = offer->manifest.checkpoint.head.block().height;
    if (request.params.contains("height") && json_number(request.params, "height").value() != height)
      return Error{ErrorCode::not_found, "no such chunk"};
    const Bytes whole = request.method == "chain.snapshot"
                            ? encode_manifest(offer->manifest)
                            : offer->chunks.at(json_number(request.params, "chunk").value());
    const std::size_t offset = json_number(request.params, "offset").value();
    const std::size_t size = std::min(piece_size, whole.size() - std::min(offset, whole.size()));
    const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(whole.size() - size < offset ? 0 : offset);
    return Answer{{{"height", height}, {"size", whole.size()}},
                  Bytes(begin, begin + static_cast<std::ptrdiff_t>(size))};
  }
};

bool of_manifest(const Request& request) {
  return request.method == "chain.snapshot";
}

bool of_second_chunk(const Request& request) {
  return !of_manifest(request) && json_number(request.params, "chunk").value() == chunk_lied_about;
}

class SnapshotSearchTest : public testing::Test {
 protected:
  void SetUp() override {
    const Shared& shared = Shared::get();
    ASSERT_GT(shared.newest.chunks.at(chunk_lied_about).size(), 2 * piece_size);
    ASSERT_GT(encode_manifest(shared.newest.manifest).size(), 2 * piece_size);
  }
  [[nodiscard]] std::optional<FoundSnapshot> look(const std::vector<Node*>& nodes,
                                                  std::uint64_t height_min = 1) {
    std::vector<SnapshotPeer> peers;
    for (Node* node : nodes) peers.push_back(node->peer());
    return search_.look(peers, height_min);
  }
  void expect_right(const std::optional<FoundSnapshot>& found, const Offer& offer = Shared::get().newest) {
    ASSERT_TRUE(found.has_value()) << log_;
    EXPECT_EQ(found->chunks, offer.chunks);
    State state = found->state;
    EXPECT_EQ(state.height(), offer.manifest.checkpoint.head.block().height);
    const auto again = StateSnapshot::take(state);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(StateTree::root_of(again->index.buckets), offer.manifest.checkpoint.head.block().state_root);
  }
  [[nodiscard]] bool said(const std::string& what) const { return log_.find(what) != std::string::npos; }

  std::atomic<bool> stopping_{false};
  std::string log_;
  SnapshotSearch search_{Shared::get().world.state().chain_id(),
                         [this](const std::string& line) { log_ += line + "\n"; }, stopping_,
                         SnapshotWaits{100ms, 1s}};
};

TEST_F(SnapshotSearchTest, WhatOneHonestNodeHasIsTakenFromItAlone) {
  Node first{"first", {}}, second{"second", {}};
  const auto found = look({&first, &second});
  expect_right(found);
  EXPECT_EQ(found->senders, std::set<std::string>{"first"});
  EXPECT_EQ(found->state.height(), Shared::get().height);
  EXPECT_EQ(second.asked, 0);
  EXPECT_EQ(log_, "");
}

struct ChunkLie {
  const char* what;
  Node::Lie lie;
  const char* log;  // what is said of the liar
};

std::vector<ChunkLie> chunk_lies() {
  const auto whole = Shared::get().newest.chunks.at(chunk_lied_about).size();
  return {
      {"a bit is flipped", [](const Request&, Result<Answer>& a) { a->body.at(a->body.size() / 2) ^= 1; },
       "liar: snapshot: chunk 1: "},
      {"the end is missing",
       [whole](const Request&, Result<Answer>& a) {
         a->result["size"] = whole - 1;
         if (a->body.size() < piece_size) a->body.pop_back();
       },
       "liar: snapshot: chunk 1: the chunk"},
      {"it stops half-way",
       [](const Request& r, Result<Answer>& a) {
         if (json_number(r.params, "offset").value() > 0) a->body.clear();
       },
       "less than its size"},
      {"nothing comes", [](const Request&, Result<Answer>& a) { a->body.clear(); }, "less than its size"},
      {"it is said to be empty",
       [](const Request&, Result<Answer>& a) {
         a = Answer{{{"height", Shared::get().height}, {"size", 0}}, {}};
       },
       "liar: snapshot: chunk 1: "},
      {"it is another chunk",
       [](const Request& r, Result<Answer>& a) {
         const Bytes& other = Shared::get().newest.chunks.at(chunk_lied_about + 1);
         const std::size_t offset = json_number(r.params, "offset").value();
         a->result["size"] = other.size();
         a->body.assign(other.begin() + static_cast<std::ptrdiff_t>(offset), other.end());
       },
       "liar: snapshot: chunk 1: bucket"},
      {"it is the chunk of another block",
       [](const Request& r, Result<Answer>& a) {
         const Bytes& other = Shared::get().older.chunks.at(chunk_lied_about);
         const std::size_t offset = json_number(r.params, "offset").value();
         a->result["size"] = other.size();
         a->body.assign(other.begin() + static_cast<std::ptrdiff_t>(offset), other.end());
       },
       "liar: snapshot: chunk 1: bucket"},
      {"it names another block",
       [](const Request&, Result<Answer>& a) { a->result["height"] = Shared::get().height - 20; },
       "it is of another block"},
      {"there is more than its size", [](const Request&, Result<Answer>& a) { a->body.resize(1 << 20); },
       "more than its size"},
      {"it is larger than it may be",
       [](const Request&, Result<Answer>& a) { a->result["size"] = chunk_size_max + 1; },
       "larger than it may be"},
      {"it grows",
       [](const Request& r, Result<Answer>& a) {
         a->result["size"] = chunk_size_max / 2 + json_number(r.params, "offset").value();
       },
       "its size changes"},
      {"it becomes smaller than what came already",
       [](const Request& r, Result<Answer>& a) {
         if (json_number(r.params, "offset").value() == 0) return;
         a->result["size"] = 1;
         a->body.assign(1 << 20, 7);
       },
       "its size changes"},
      {"an entry too many",
       [whole](const Request&, Result<Answer>& a) {
         a->result["size"] = whole + 1;
         if (a->body.size() < piece_size) a->body.push_back(0);
       },
       "liar: snapshot: chunk 1: the chunk"},
      {"no height", [](const Request&, Result<Answer>& a) { a->result.erase("height"); }, "'height'"},
      {"a size that is none", [](const Request&, Result<Answer>& a) { a->result["size"] = -1; }, "'size'"},
      {"an error that would mean that no state has such entries",
       [](const Request&, Result<Answer>& a) {
         a = Error{ErrorCode::invalid, "snapshot: no state"};
       },
       "liar: snapshot: chunk 1: snapshot: no state"},
      {"no answer in time",
       [](const Request&, Result<Answer>& a) {
         a = Error{ErrorCode::timeout, "no answer"};
       },
       "liar: snapshot: chunk 1: no answer"},
      {"it is gone",
       [](const Request&, Result<Answer>& a) {
         a = Error{ErrorCode::unavailable, "away"};
       },
       "liar: snapshot: chunk 1: away"},
  };
}

TEST_F(SnapshotSearchTest, AChunkThatIsWrongComesFromAnotherNodeAndTheLiarIsAskedNothingMore) {
  for (const ChunkLie& lie : chunk_lies()) {
    SCOPED_TRACE(lie.what);
    log_.clear();
    const auto once = [&](const Request& request, Result<Answer>& answer) {
      if (of_second_chunk(request)) lie.lie(request, answer);
    };
    Node liar{"liar", once}, honest{"honest", {}}, idle{"idle", {}};
    SnapshotSearch search(
        Shared::get().world.state().chain_id(), [this](const std::string& line) { log_ += line + "\n"; },
        stopping_);
    const auto found = search.look({liar.peer(), honest.peer(), idle.peer()}, 1);
    expect_right(found);
    if (!found) continue;
    EXPECT_EQ(found->senders, (std::set<std::string>{"liar", "honest"}));
    EXPECT_TRUE(said(lie.log)) << log_;
    EXPECT_TRUE(said("liar: snapshot: chunk 1: ")) << log_;
    EXPECT_EQ(std::count(log_.begin(), log_.end(), '\n'), 1) << log_;
    EXPECT_EQ(liar.chunks_asked, (std::set<std::uint64_t>{0, 1}));
    EXPECT_EQ(honest.chunks_asked, (std::set<std::uint64_t>{1, 2, 3}));
    EXPECT_EQ(idle.asked, 0);
  }
}

TEST_F(SnapshotSearchTest, AnotherMayBeWrongTooAsLongAsOneIsRight) {
  const auto flip = [](const Request& request, Result<Answer>& answer) {
    if (!of_manifest(request)) answer->body.at(answer->body.size() / 2) ^= 0x40;
  };
  Node one{"one", flip}, two{"two", flip}, three{"three", flip}, right{"right", {}};
  const auto found = look({&one, &two, &three, &right});
  expect_right(found);
  EXPECT_EQ(found->senders, (std::set<std::string>{"one", "right"}));  // its manifest was right
  for (const char* liar : {"one: ", "two: ", "three: "})
    EXPECT_TRUE(said(std::string(liar) + "snapshot: chunk 0: ")) << log_;
  EXPECT_FALSE(said("right: ")) << log_;
}

TEST_F(SnapshotSearchTest, WhenAllLieThereIsNoneAndNobodyIsAskedAgain) {
  const auto flip = [](const Request& request, Result<Answer>& answer) {
    if (of_second_chunk(request)) answer->body.at(answer->body.size() / 2) ^= 0x40;
  };
  Node one{"one", flip}, two{"two", flip}, three{"three", flip};
  EXPECT_FALSE(look({&one, &two, &three}).has_value());
  EXPECT_TRUE(said("no snapshot from one: nobody has chunk 1 of block ")) << log_;
  const int asked = one.asked + two.asked + three.asked;
  EXPECT_FALSE(look({&one, &two, &three}).has_value());
  EXPECT_EQ(one.asked + two.asked + three.asked, asked);
}

TEST_F(SnapshotSearchTest, AWrongNumberOfChunksMakesNoLiarsOfTheOthers) {
  Offer fewer = Shared::get().newest;
  fewer.manifest.index.chunks = chunks_count / 2;
  Node liar{"liar", {}, &fewer}, right{"right", {}};
  const auto found = look({&liar, &right});
  expect_right(found);
  EXPECT_EQ(found->senders, std::set<std::string>{"right"});
  EXPECT_TRUE(said("liar: snapshot: chunk 0: ")) << log_;
  EXPECT_TRUE(said("it does not fit the manifest of liar")) << log_;
}

TEST_F(SnapshotSearchTest, AnotherNumberOfChunksWillDo) {
  const Offer more = split(Shared::get().newest, 8);
  Node node{"node", {}, &more};
  expect_right(look({&node}), more);
}

TEST_F(SnapshotSearchTest, OneThatLacksAChunkIsNoLiarAndItsOwnSnapshotIsTaken) {
  // It has the older one only; the other keeps a chunk back.
  Node first{"first", [](const Request& request, Result<Answer>& answer) {
               if (of_second_chunk(request)) answer = Error{ErrorCode::not_found, "gone"};
             }};
  Node second{"second", {}, &Shared::get().older};
  const auto found = look({&first, &second});
  expect_right(found, Shared::get().older);
  EXPECT_EQ(found->senders, std::set<std::string>{"second"});
  EXPECT_TRUE(said("no snapshot from first: nobody has chunk 1")) << log_;
  EXPECT_FALSE(said("any more")) << log_;
}

TEST_F(SnapshotSearchTest, OneThatIsTooOldIsLeftForANewerOne) {
  Node old{"old", {}, &Shared::get().older}, fresh{"fresh", {}};
  const auto found = look({&old, &fresh}, Shared::get().height);
  expect_right(found);
  EXPECT_EQ(found->senders, std::set<std::string>{"fresh"});
  EXPECT_TRUE(said("no snapshot from old: it has none after block ")) << log_;
}

TEST_F(SnapshotSearchTest, AManifestThatIsWrongAnywhereIsRefused) {
  const Bytes right = encode_manifest(Shared::get().newest.manifest);
  int wrong = 0;
  for (std::size_t at = 0; at < right.size(); at += right.size() / 40) {
    SCOPED_TRACE(at);
    log_.clear();
    Node liar{"liar", [at](const Request& request, Result<Answer>& answer) {
                if (!of_manifest(request)) return;
                const std::size_t offset = json_number(request.params, "offset").value();
                if (at >= offset && at - offset < answer->body.size()) answer->body[at - offset] ^= 0x10;
              }};
    SnapshotSearch search(
        Shared::get().world.state().chain_id(), [this](const std::string& line) { log_ += line + "\n"; },
        stopping_);
    EXPECT_FALSE(search.look({liar.peer()}, 1).has_value());
    EXPECT_TRUE(said("liar: manifest: ")) << log_;
    ++wrong;
  }
  EXPECT_GE(wrong, 40);
}

TEST_F(SnapshotSearchTest, AnIndexUnderAnotherBlocksVotesIsRefused) {
  Offer mixed = Shared::get().newest;
  mixed.manifest.index = Shared::get().older.manifest.index;
  Node liar{"liar", {}, &mixed}, right{"right", {}};
  expect_right(look({&liar, &right}));
  EXPECT_TRUE(said("liar: manifest: snapshot: its index is not of the state root")) << log_;
}

TEST_F(SnapshotSearchTest, ASnapshotOfAnotherChainIsRefused) {
  SnapshotSearch search(
      sha256("another chain"), [this](const std::string& line) { log_ += line + "\n"; }, stopping_);
  Node other{"other", {}};
  EXPECT_FALSE(search.look({other.peer()}, 1).has_value());
  EXPECT_TRUE(said("other: manifest: snapshot: it is of another chain")) << log_;
}

TEST_F(SnapshotSearchTest, WhoSendsAByteAtATimeIsGivenUp) {
  Node slow{"slow", [](const Request& request, Result<Answer>& answer) {
              if (of_manifest(request)) return;
              std::this_thread::sleep_for(10ms);
              answer->body.resize(1);
            }};
  Node right{"right", {}};
  const auto began = std::chrono::steady_clock::now();
  expect_right(look({&slow, &right}));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
  EXPECT_TRUE(said("slow: snapshot: chunk 0: it takes too long")) << log_;
}

TEST_F(SnapshotSearchTest, NoAnswerIsWaitedForLongerThanIsLeftForTheWhole) {
  std::vector<std::chrono::milliseconds> waits;
  Node node{"node", {}};
  SnapshotPeer peer = node.peer();
  peer.call = [&](const Request& request, std::chrono::milliseconds wait) {
    waits.push_back(wait);
    std::this_thread::sleep_for(60ms);
    return node.answer(request);
  };
  SnapshotSearch search(
      Shared::get().world.state().chain_id(), [](const std::string&) {}, stopping_,
      SnapshotWaits{100ms, 150ms});
  EXPECT_FALSE(search.look({peer}, 1).has_value());
  ASSERT_FALSE(waits.empty());
  EXPECT_EQ(waits.front(), 100ms);
  EXPECT_LT(waits.back(), 100ms);
  EXPECT_LE(waits.size(), 3U);
}

TEST_F(SnapshotSearchTest, LookingEndsWhenTheNodeGoesDown) {
  Node node{"node", [this](const Request& request, Result<Answer>&) {
              if (of_second_chunk(request)) stopping_ = true;
            }};
  Node other{"other", {}};
  EXPECT_FALSE(look({&node, &other}).has_value());
  EXPECT_EQ(other.asked, 0);
  EXPECT_EQ(log_, "");
}

}  // namespace
}  // namespace ufab::jobs
