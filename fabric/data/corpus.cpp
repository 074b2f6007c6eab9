#include "fabric/data/corpus.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "fabric/data/hdf5.h"

namespace ufab {

static_assert(std::endian::native == std::endian::little, "tokens are mapped from a little-endian file");

namespace {

constexpr const char* kFormat = "ufab.corpus";
constexpr std::uint64_t kVersion = 1;

std::uint8_t token_bytes(std::uint32_t vocab_size) {
  return vocab_size <= 65536 ? 2 : 4;
}

const char* kind_name(TokenizerKind kind) {
  return kind == TokenizerKind::bytes ? "bytes" : "sentencepiece";
}

Digest content_digest(const CorpusInfo& info, const Bytes& model, ByteView tokens) {
  Writer head;
  head.text("ufab.corpus/1");
  head.u8(static_cast<std::uint8_t>(info.tokenizer));
  head.u32(info.vocab_size);
  head.u8(token_bytes(info.vocab_size));
  head.u64(info.source_bytes);
  head.u64(std::bit_cast<std::uint64_t>(info.unigram_entropy));
  head.blob(model);
  head.u64(info.tokens);
  return Sha256().update(head.bytes()).update(tokens).finish();
}

double entropy(const std::vector<std::uint64_t>& counts, std::uint64_t total) {
  double sum = 0;
  for (const std::uint64_t count : counts) {
    if (count == 0) continue;
    const double p = static_cast<double>(count) / static_cast<double>(total);
    sum -= p * std::log(p);
  }
  return sum;
}

Result<std::string> read_sources(const std::vector<std::string>& files, const PackOptions& options) {
  if (files.empty()) return Error{ErrorCode::usage, "no text file to pack"};
  std::uint64_t total = 0;
  for (const auto& path : files) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) total += static_cast<std::uint64_t>(info.st_size);
  }
  std::string text;
  for (const auto& path : files) {
    UFAB_ASSIGN(const Bytes bytes, read_file(path, kCorpusSourceMax - text.size()));
    text.append(as_text(bytes));
    if (!text.empty() && text.back() != '\n') text.push_back('\n');
    if (options.progress)
      options.progress({"reading", text.size(), std::max<std::uint64_t>(total, text.size())});
  }
  if (text.size() < 2) return Error{ErrorCode::invalid, "the files to pack hold no text"};
  return text;
}

Status write_corpus(const std::string& path, const CorpusInfo& info, const Bytes& model, ByteView tokens) {
  hdf5::quiet();
  const Error failed{ErrorCode::io, path + ": cannot be written"};
  hdf5::File file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, hdf5::file_creation().id(), H5P_DEFAULT));
  if (!file.ok()) return failed;
  const bool narrow = token_bytes(info.vocab_size) == 2;
  const hid_t stored = narrow ? H5T_STD_U16LE : H5T_STD_U32LE;
  hdf5::Dataset data = hdf5::create_dataset(file, "tokens", stored, info.tokens);
  bool good = data.ok() && H5Dwrite(data.id(), stored, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens.data()) >= 0;
  if (good && !model.empty()) {
    hdf5::Dataset stored_model = hdf5::create_dataset(file, "tokenizer_model", H5T_STD_U8LE, model.size());
    good = stored_model.ok() &&
           H5Dwrite(stored_model.id(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, model.data()) >= 0;
    good = good && hdf5::write_u64(file, "model_bytes", model.size());
  }
  good = good && hdf5::write_text(file, "format", kFormat) && hdf5::write_u64(file, "version", kVersion) &&
         hdf5::write_text(file, "tokenizer", kind_name(info.tokenizer)) &&
         hdf5::write_u64(file, "vocab_size", info.vocab_size) &&
         hdf5::write_u64(file, "tokens", info.tokens) &&
         hdf5::write_u64(file, "token_bytes", token_bytes(info.vocab_size)) &&
         hdf5::write_u64(file, "source_bytes", info.source_bytes) &&
         hdf5::write_f64(file, "unigram_entropy", info.unigram_entropy) &&
         hdf5::write_text(file, "digest", info.digest.str());
  data = {};
  if (!good || !file.close()) return failed;
  return {};
}

Status sync_file(const std::string& path) {
  fault_point();
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!synced) return Error{ErrorCode::io, path + ": " + std::strerror(error)};
  return {};
}

}  // namespace

Result<CorpusInfo> pack_corpus(const std::vector<std::string>& files, const std::string& output,
                               const PackOptions& options) {
  const auto report = [&](const char* phase, std::uint64_t done, std::uint64_t total) {
    if (options.progress) options.progress({phase, done, total});
  };
  UFAB_ASSIGN(const std::string text, read_sources(files, options));
  Tokenizer tokenizer = Tokenizer::bytes();
  if (options.vocab_size != 256) {
    report("training the tokenizer", 0, text.size());
    UFAB_ASSIGN(tokenizer, Tokenizer::train(text, options.vocab_size));
  }
  CorpusInfo info;
  info.tokenizer = tokenizer.kind();
  info.vocab_size = tokenizer.vocab_size();
  info.source_bytes = text.size();

  Bytes packed;
  std::vector<std::uint64_t> counts(info.vocab_size);
  const std::uint8_t width = token_bytes(info.vocab_size);
  for (std::size_t at = 0; at < text.size();) {  // piece by piece, each ending after a newline
    constexpr std::size_t piece_size = std::size_t{1} << 22;
    std::size_t end = text.size() - at <= piece_size ? std::string::npos : text.find('\n', at + piece_size);
    end = end == std::string::npos ? text.size() : end + 1;
    UFAB_ASSIGN(const auto tokens, tokenizer.encode(std::string_view(text).substr(at, end - at)));
    for (const std::int32_t token : tokens) {
      ++counts[static_cast<std::size_t>(token)];
      for (int i = 0; i < width; ++i) packed.push_back(static_cast<std::uint8_t>(token >> (8 * i)));
    }
    at = end;
    report("encoding", at, text.size());
  }
  info.tokens = packed.size() / width;
  info.unigram_entropy = entropy(counts, info.tokens);
  info.digest = content_digest(info, tokenizer.model(), packed);

  report("writing", 0, packed.size());
  const std::string temporary = fmt::format("{}.tmp-{}", output, ::getpid());
  Status status = write_corpus(temporary, info, tokenizer.model(), packed);
  if (status.ok()) status = sync_file(temporary);
  if (status.ok()) status = rename_durable(temporary, output);
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status.error();
  }
  report("writing", packed.size(), packed.size());
  return info;
}

struct Corpus::State {
  CorpusInfo info;
  Tokenizer tokenizer = Tokenizer::bytes();
  void* mapping = MAP_FAILED;
  std::size_t mapping_size = 0;
  const std::uint8_t* tokens = nullptr;  // into the mapping; not aligned
  std::uint8_t width = 2;

  ~State() {
    if (mapping != MAP_FAILED) ::munmap(mapping, mapping_size);
  }
  [[nodiscard]] std::int32_t at(std::uint64_t index) const {
    if (width == 2) {
      std::uint16_t value = 0;
      std::memcpy(&value, tokens + index * 2, 2);
      return value;
    }
    std::uint32_t value = 0;
    std::memcpy(&value, tokens + index * 4, 4);
    return static_cast<std::int32_t>(value);
  }
};

namespace {

// Reads everything but the tokens; their place in the file in `offset`.
Status read_head(const std::string& path, CorpusInfo& info, Tokenizer& tokenizer, std::uint64_t& offset) {
  hdf5::quiet();
  if (!file_exists(path)) return Error{ErrorCode::not_found, path + ": no such corpus"};
  const Error foreign{ErrorCode::invalid, path + ": not a corpus file; 'ufab data pack' makes one"};
  const Error corrupt{ErrorCode::corrupt, path + ": damaged corpus file"};
  const hdf5::File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  std::string format, kind, digest;
  std::uint64_t version = 0, vocab = 0, width = 0;
  if (!file.ok() || !hdf5::read_text(file, "format", 64, format) || format != kFormat) return foreign;
  if (!hdf5::read_u64(file, "version", version)) return corrupt;
  if (version != kVersion) {
    return Error{ErrorCode::invalid, fmt::format("{}: corpus version {}, this program reads version {}", path,
                                                 version, kVersion)};
  }
  if (!hdf5::read_text(file, "tokenizer", 64, kind) || !hdf5::read_u64(file, "vocab_size", vocab) ||
      !hdf5::read_u64(file, "tokens", info.tokens) || !hdf5::read_u64(file, "token_bytes", width) ||
      !hdf5::read_u64(file, "source_bytes", info.source_bytes) ||
      !hdf5::read_f64(file, "unigram_entropy", info.unigram_entropy) ||
      !hdf5::read_text(file, "digest", 128, digest)) {
    return corrupt;
  }
  const auto parsed = Digest::parse(digest);
  if (!parsed || vocab < 2 || vocab > (1U << 30) || info.tokens == 0 || info.tokens > kCorpusSourceMax) {
    return corrupt;
  }
  info.digest = *parsed;
  info.vocab_size = static_cast<std::uint32_t>(vocab);
  if (width != token_bytes(info.vocab_size)) return corrupt;
  if (kind == kind_name(TokenizerKind::sentencepiece)) {
    std::uint64_t size = 0;
    if (!hdf5::read_u64(file, "model_bytes", size) || size == 0 || size > kTokenizerModelMax) return corrupt;
    const auto data = hdf5::open_dataset(file, "tokenizer_model", H5T_STD_U8LE, size);
    Bytes model(size);
    if (!data.ok() || H5Dread(data.id(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, model.data()) < 0) {
      return corrupt;
    }
    UFAB_ASSIGN(tokenizer, Tokenizer::from_model(model));
  } else if (kind != kind_name(TokenizerKind::bytes)) {
    return corrupt;
  }
  info.tokenizer = tokenizer.kind();
  const auto data =
      hdf5::open_dataset(file, "tokens", width == 2 ? H5T_STD_U16LE : H5T_STD_U32LE, info.tokens);
  if (!data.ok() || tokenizer.vocab_size() != info.vocab_size) return corrupt;
  const haddr_t address = H5Dget_offset(data.id());
  if (address == HADDR_UNDEF) return corrupt;
  offset = address;
  return {};
}

}  // namespace

Result<Corpus> Corpus::load(const std::string& path) {
  auto state = std::make_shared<State>();
  std::uint64_t offset = 0;
  UFAB_TRY(read_head(path, state->info, state->tokenizer, offset));
  const Error corrupt{ErrorCode::corrupt,
                      path + ": damaged corpus file: its content does not match its digest"};
  state->width = token_bytes(state->info.vocab_size);
  const std::uint64_t size = state->info.tokens * state->width;

  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  if (fd >= 0 && ::fstat(fd, &status) == 0 && offset + size <= static_cast<std::uint64_t>(status.st_size)) {
    state->mapping_size = offset + size;
    state->mapping = ::mmap(nullptr, state->mapping_size, PROT_READ, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) ::close(fd);
  if (state->mapping == MAP_FAILED) return corrupt;
  state->tokens = static_cast<const std::uint8_t*>(state->mapping) + offset;
  if (content_digest(state->info, state->tokenizer.model(), {state->tokens, size}) != state->info.digest) {
    return corrupt;
  }
  for (std::uint64_t i = 0; i < state->info.tokens; ++i) {
    if (static_cast<std::uint32_t>(state->at(i)) >= state->info.vocab_size) return corrupt;
  }
  return Corpus(std::move(state));
}

const CorpusInfo& Corpus::info() const {
  return state_->info;
}
const Tokenizer& Corpus::tokenizer() const {
  return state_->tokenizer;
}
std::size_t Corpus::mapped_bytes() const {
  return state_->mapping_size;
}

void Corpus::copy(std::uint64_t first, std::span<std::int32_t> into) const {
  UFAB_ASSERT(first <= state_->info.tokens && into.size() <= state_->info.tokens - first);
  for (std::size_t i = 0; i < into.size(); ++i) into[i] = state_->at(first + i);
}

}  // namespace ufab
