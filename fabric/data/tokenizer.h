// Text to tokens and back. Two kinds: bytes (token = byte, vocabulary 256) and sentencepiece BPE (Kudo and
// Richardson 2018) with byte fallback and identity normalisation.
//
// bytes: decode(encode(text)) == text for any bytes. sentencepiece: the same for UTF-8 text, except that the
// character U+2581, which stands for a space inside the model, comes back as a space.
// Immutable after construction; thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/bytes.h"

namespace ufab {

enum class TokenizerKind : std::uint8_t { bytes = 0, sentencepiece = 1 };

class Tokenizer {
 public:
  [[nodiscard]] static Tokenizer bytes();
  // Trains on `text` (of a long text, on its first 64 MiB): single-threaded and deterministic.
  // vocab_size 260 .. 65536 here; the text itself may bound it further (the error says so).
  [[nodiscard]] static Result<Tokenizer> train(std::string_view text, std::uint32_t vocab_size);
  // From the bytes that model() gave.
  [[nodiscard]] static Result<Tokenizer> from_model(ByteView model);

  [[nodiscard]] TokenizerKind kind() const;
  [[nodiscard]] std::uint32_t vocab_size() const;
  // The serialised sentencepiece model; empty for bytes.
  [[nodiscard]] const Bytes& model() const;

  // ErrorCode::invalid for text that is not UTF-8 (sentencepiece only).
  [[nodiscard]] Result<std::vector<std::int32_t>> encode(std::string_view text) const;
  // Tokens outside the vocabulary are ErrorCode::invalid.
  [[nodiscard]] Result<std::string> decode(std::span<const std::int32_t> tokens) const;

 private:
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

inline constexpr std::size_t kTokenizerModelMax = std::size_t{64} << 20;  // bytes

}  // namespace ufab
