// A packed text corpus: tokens in one HDF5 file that names itself by a digest.
//
// On disk (HDF5, no time stamps: equal input gives an equal file, byte for byte):
//   /tokens           contiguous u16 (vocabulary up to 65536) or u32, little-endian
//   /tokenizer_model  u8, the serialised sentencepiece model; absent for bytes
//   root attributes   format "ufab.corpus", version 1, tokenizer "bytes" or "sentencepiece", vocab_size,
//   tokens,
//                     token_bytes, source_bytes (u64), unigram_entropy (f64, nats), digest ("sha256:...")
// digest = SHA-256 over the canonical encoding (fabric/base/codec.h) of
//   text "ufab.corpus/1", u8 kind, u32 vocab_size, u8 token_bytes, u64 source_bytes, u64 bits of
//   unigram_entropy, blob model, u64 tokens
// followed by the tokens' bytes as stored. load() checks it.
//
// Files are joined in the order given; one that does not end in a newline gets one. unigram_entropy is
// the loss of a model that knows only the tokens' frequencies.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fabric/base/digest.h"
#include "fabric/data/tokenizer.h"

namespace ufab {

struct CorpusInfo {
  TokenizerKind tokenizer = TokenizerKind::bytes;
  std::uint32_t vocab_size = 0;
  std::uint64_t tokens = 0;
  std::uint64_t source_bytes = 0;
  double unigram_entropy = 0;  // nats per token
  Digest digest;
};

struct PackProgress {
  const char* phase;  // "reading", "training the tokenizer", "encoding", "writing"
  std::uint64_t done_bytes, total_bytes;
};

struct PackOptions {
  std::uint32_t vocab_size = 256;  // 256: bytes; otherwise sentencepiece BPE of that size
  std::function<void(const PackProgress&)> progress;
};

inline constexpr std::uint64_t kCorpusSourceMax = std::uint64_t{1} << 34;  // bytes of text in one corpus

// Reads the text files and writes `output` (temporary name, sync, rename). One-line errors name the file.
[[nodiscard]] Result<CorpusInfo> pack_corpus(const std::vector<std::string>& files, const std::string& output,
                                             const PackOptions& options);

// A corpus open for reading. The tokens are mapped, not copied: processes of one machine share them.
// Immutable; thread-safe.
class Corpus {
 public:
  // Checks everything: format, sizes, token range, digest.
  [[nodiscard]] static Result<Corpus> load(const std::string& path);

  [[nodiscard]] const CorpusInfo& info() const;
  [[nodiscard]] const Tokenizer& tokenizer() const;
  [[nodiscard]] std::size_t mapped_bytes() const;
  // tokens [first, first + into.size()); precondition: inside the corpus.
  void copy(std::uint64_t first, std::span<std::int32_t> into) const;

 private:
  struct State;
  explicit Corpus(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace ufab
