#include "fabric/data/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

namespace ufab {

struct Tokenizer::State {
  TokenizerKind kind = TokenizerKind::bytes;
  std::uint32_t vocab_size = 256;
  Bytes model;
  sentencepiece::SentencePieceProcessor processor;
};

namespace {

constexpr std::size_t kTrainingTextMax = std::size_t{64} << 20;
constexpr std::size_t kSentenceMax = 4000;  // bytes handed to sentencepiece at once

// The library's messages span lines and name its source files.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, 300);
}

// Length of the well-formed UTF-8 sequence at the front of text (RFC 3629); 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF4 && byte(1) > 0x8F);
  return overlong || outside ? 0 : length;
}

// Offset of the first byte that is not UTF-8, or npos.
std::size_t first_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return std::string_view::npos;
}

// The next piece of valid UTF-8 text: up to and with a newline, or at most kSentenceMax bytes.
std::string_view next_sentence(std::string_view text) {
  std::size_t size = std::min(text.find('\n'), text.size() - 1) + 1;
  if (size > kSentenceMax) {
    size = kSentenceMax;
    while ((static_cast<std::uint8_t>(text[size]) & 0xC0) == 0x80) --size;
  }
  return text.substr(0, size);
}

class SentenceFeed final : public sentencepiece::SentenceIterator {
 public:
  explicit SentenceFeed(std::string_view text) : text_(text) { Next(); }
  bool done() const override { return done_; }
  void Next() override {
    do {
      done_ = text_.empty();
      if (done_) return;
      const std::string_view sentence = next_sentence(text_);
      text_.remove_prefix(sentence.size());
      value_ = sentence;
      if (value_.back() == '\n') value_.pop_back();  // newlines are byte tokens, never inside a piece
    } while (value_.empty());
  }
  const std::string& value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  std::string_view text_;
  std::string value_;
  bool done_ = false;
};

Error not_utf8(std::size_t offset) {
  return {ErrorCode::invalid,
          fmt::format("byte {} is not UTF-8 text; pack it as bytes (without --vocab)", offset)};
}

}  // namespace

Tokenizer Tokenizer::bytes() {
  return Tokenizer(std::make_shared<State>());
}

Result<Tokenizer> Tokenizer::train(std::string_view text, std::uint32_t vocab_size) {
  if (vocab_size < 260 || vocab_size > 65536) {
    return Error{ErrorCode::usage, fmt::format("vocabulary of {}: 256 (bytes) or 260 to 65536", vocab_size)};
  }
  if (const std::size_t bad = first_invalid_utf8(text); bad != text.npos) return not_utf8(bad);
  if (text.size() > kTrainingTextMax) {
    text = text.substr(0, kTrainingTextMax);
    while ((static_cast<std::uint8_t>(text.back()) & 0xC0) == 0x80) text.remove_suffix(1);
    if (static_cast<std::uint8_t>(text.back()) >= 0xC0) text.remove_suffix(1);
  }
  SentenceFeed feed(text);
  std::string model;
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocab_size)},
      {"num_threads", "1"},
      {"character_coverage", "1.0"},
      {"byte_fallback", "true"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "false"},
      {"bos_id", "-1"},
      {"eos_id", "-1"},
      {"pad_id", "-1"},
      {"max_sentence_length", "8192"},
      {"minloglevel", "3"},
  };
  const auto status = sentencepiece::SentencePieceTrainer::Train(options, &feed, &model);
  if (!status.ok()) {
    return Error{ErrorCode::invalid, fmt::format("no vocabulary of {} fits this text: {}", vocab_size,
                                                 one_line(status.ToString()))};
  }
  return from_model(as_bytes(model));
}

Result<Tokenizer> Tokenizer::from_model(ByteView model) {
  auto state = std::make_shared<State>();
  state->kind = TokenizerKind::sentencepiece;
  state->model.assign(model.begin(), model.end());
  if (!state->processor.LoadFromSerializedProto(std::string(as_text(model))).ok() ||
      state->processor.GetPieceSize() < 2) {
    return Error{ErrorCode::corrupt, "the stored sentencepiece model cannot be read"};
  }
  state->vocab_size = static_cast<std::uint32_t>(state->processor.GetPieceSize());
  return Tokenizer(std::move(state));
}

TokenizerKind Tokenizer::kind() const {
  return state_->kind;
}
std::uint32_t Tokenizer::vocab_size() const {
  return state_->vocab_size;
}
const Bytes& Tokenizer::model() const {
  return state_->model;
}

Result<std::vector<std::int32_t>> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  if (state_->kind == TokenizerKind::bytes) {
    tokens.reserve(text.size());
    for (const char c : text) tokens.push_back(static_cast<std::uint8_t>(c));
    return tokens;
  }
  if (const std::size_t bad = first_invalid_utf8(text); bad != text.npos) return not_utf8(bad);
  std::vector<int> piece;
  while (!text.empty()) {
    const std::string_view sentence = next_sentence(text);
    text.remove_prefix(sentence.size());
    const auto status = state_->processor.Encode({sentence.data(), sentence.size()}, &piece);
    if (!status.ok()) return Error{ErrorCode::invalid, one_line(status.ToString())};
    tokens.insert(tokens.end(), piece.begin(), piece.end());
  }
  return tokens;
}

Result<std::string> Tokenizer::decode(std::span<const std::int32_t> tokens) const {
  for (const std::int32_t token : tokens) {
    if (token < 0 || static_cast<std::uint32_t>(token) >= state_->vocab_size) {
      return Error{ErrorCode::invalid,
                   fmt::format("token {} is outside the vocabulary of {}", token, state_->vocab_size)};
    }
  }
  std::string text;
  if (state_->kind == TokenizerKind::bytes) {
    for (const std::int32_t token : tokens) text.push_back(static_cast<char>(token));
    return text;
  }
  const auto status = state_->processor.Decode(std::vector<int>(tokens.begin(), tokens.end()), &text);
  if (!status.ok()) return Error{ErrorCode::invalid, one_line(status.ToString())};
  return text;
}

}  // namespace ufab
