#include "fabric/data/corpus.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "fabric/base/file.h"
#include "tests/fabric/support/process.h"

namespace ufab::testing {
namespace {

void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string poem() {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "the sea, the séa, and the ship upon the sea\nno ship without a sea\n";
  return text;
}

class CorpusTest : public ::testing::Test {
 protected:
  CorpusInfo pack(std::string_view text, std::uint32_t vocab = 256) {
    write_text(folder_ / "a.txt", text);
    PackOptions options;
    options.vocab_size = vocab;
    const auto info = pack_corpus({folder_ / "a.txt"}, path(), options);
    EXPECT_TRUE(info.ok()) << info.error().message;
    return info ? *info : CorpusInfo{};
  }
  std::string path() const { return folder_ / "corpus.h5"; }
  TemporaryFolder folder_;
};

TEST_F(CorpusTest, BytesComeBackInOrderAndFilesAreJoinedByNewlines) {
  write_text(folder_ / "a.txt", "first");
  write_text(folder_ / "b.txt", std::string("se\0cond\n\xff", 9));
  const auto info = pack_corpus({folder_ / "a.txt", folder_ / "b.txt"}, path(), {});
  ASSERT_TRUE(info.ok()) << info.error().message;
  const auto corpus = Corpus::load(path());
  ASSERT_TRUE(corpus.ok()) << corpus.error().message;
  std::vector<std::int32_t> tokens(corpus->info().tokens);
  corpus->copy(0, tokens);
  EXPECT_EQ(*corpus->tokenizer().decode(tokens), std::string("first\nse\0cond\n\xff\n", 16));
  std::vector<std::int32_t> middle(3);
  corpus->copy(6, middle);
  EXPECT_EQ(*corpus->tokenizer().decode(middle), std::string("se\0", 3));
  EXPECT_EQ(corpus->info().digest, info->digest);
}

TEST_F(CorpusTest, EqualTextMakesAnEqualFileAtAnyTime) {
  const CorpusInfo first = pack(poem(), 300);
  const auto before = read_file(path(), 1 << 24);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5's time stamps count seconds
  EXPECT_EQ(pack(poem(), 300).digest, first.digest);
  EXPECT_TRUE(*read_file(path(), 1 << 24) == *before);
}

TEST_F(CorpusTest, SentencepieceTokensAreFewerAndDecodeToTheSameText) {
  const CorpusInfo info = pack(poem(), 300);
  EXPECT_EQ(info.vocab_size, 300U);
  EXPECT_LT(info.tokens, info.source_bytes / 2);
  const auto corpus = Corpus::load(path());
  ASSERT_TRUE(corpus.ok()) << corpus.error().message;
  std::vector<std::int32_t> tokens(info.tokens);
  corpus->copy(0, tokens);
  EXPECT_EQ(*corpus->tokenizer().decode(tokens), poem());
  for (const char* text : {"unseen: Ж, 漢, 🌊\n\n two  spaces\ttab ", " ", "\n"}) {
    const auto encoded = corpus->tokenizer().encode(text);
    ASSERT_TRUE(encoded.ok());
    EXPECT_EQ(*corpus->tokenizer().decode(*encoded), text);
  }
}

TEST_F(CorpusTest, UnigramEntropyIsThatOfTheTokensFrequencies) {
  EXPECT_NEAR(pack("abababa\n").unigram_entropy,
              -(0.5 * std::log(0.5) + 0.375 * std::log(0.375) + 0.125 * std::log(0.125)), 1e-12);
}

TEST_F(CorpusTest, TextThatIsNotUtf8IsRefusedForSentencepieceWithItsOffset) {
  write_text(folder_ / "a.txt", "good\xC0\xAF text");
  PackOptions options;
  options.vocab_size = 300;
  const auto info = pack_corpus({folder_ / "a.txt"}, path(), options);
  ASSERT_FALSE(info.ok());
  EXPECT_NE(info.error().message.find("byte 4 "), std::string::npos) << info.error().message;
  EXPECT_FALSE(file_exists(path()));
}

TEST_F(CorpusTest, ImpossibleVocabulariesMissingAndEmptyFilesAreOneLine) {
  write_text(folder_ / "a.txt", "short text\n");
  write_text(folder_ / "empty.txt", "");
  const auto expect_refused = [&](const std::vector<std::string>& files, std::uint32_t vocab) {
    PackOptions options;
    options.vocab_size = vocab;
    const auto info = pack_corpus(files, path(), options);
    ASSERT_FALSE(info.ok());
    EXPECT_EQ(info.error().message.find('\n'), std::string::npos) << info.error().message;
    EXPECT_FALSE(file_exists(path()));
  };
  expect_refused({folder_ / "a.txt"}, 100);
  expect_refused({folder_ / "a.txt"}, 60000);
  expect_refused({folder_ / "absent.txt"}, 256);
  expect_refused({folder_ / "empty.txt"}, 256);
  expect_refused({}, 256);
}

TEST_F(CorpusTest, AFlippedByteIsFoundOrHarmlessAndATruncatedFileIsRefused) {
  const CorpusInfo info = pack(poem(), 300);
  const Bytes good = *read_file(path(), 1 << 24);
  int refused = 0;
  // A step that is coprime to the layout's powers of two reaches header, attributes, model and tokens.
  for (std::size_t at = 0; at < good.size(); at += 41) {
    Bytes bad = good;
    bad[at] ^= 0x10;
    write_text(path(), as_text(bad));
    const auto corpus = Corpus::load(path());
    if (!corpus.ok()) {
      ++refused;
      EXPECT_EQ(corpus.error().message.find('\n'), std::string::npos);
      continue;
    }
    // HDF5 leaves unused bytes in its blocks; whatever loads is the same corpus.
    EXPECT_EQ(corpus->info().digest, info.digest) << at;
    EXPECT_EQ(corpus->info().tokens, info.tokens) << at;
  }
  EXPECT_GT(refused, 100);
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write_text(path(), as_text(ByteView(good).first(size)));
    EXPECT_FALSE(Corpus::load(path()).ok()) << size;
  }
  EXPECT_EQ(Corpus::load(folder_ / "absent.h5").error().code, ErrorCode::not_found);
}

TEST(TokenizerTest, BytesAreExactInversesForAnyText) {
  EXPECT_TRUE(rc::check("decode(encode(text)) == text", [](const std::string& text) {
    const Tokenizer tokenizer = Tokenizer::bytes();
    RC_ASSERT(*tokenizer.decode(*tokenizer.encode(text)) == text);
  }));
}

TEST(TokenizerTest, TokensOutsideTheVocabularyAreRefused) {
  const Tokenizer tokenizer = Tokenizer::bytes();
  EXPECT_FALSE(tokenizer.decode(std::vector<std::int32_t>{256}).ok());
  EXPECT_FALSE(tokenizer.decode(std::vector<std::int32_t>{-1}).ok());
}

}  // namespace
}  // namespace ufab::testing
