#include "fabric/base/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ufab {

Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  if (text.size() != prefix.size() + 64 || !text.starts_with(prefix)) {
    return Error{ErrorCode::invalid, "a digest is 'sha256:' and 64 hexadecimal digits"};
  }
  UFAB_ASSIGN(const Bytes bytes, from_hex(text.substr(prefix.size())));
  return from(bytes);
}

Digest Digest::from(ByteView view) {
  Digest digest;
  UFAB_ASSERT(view.size() == digest.bytes.size());
  std::copy(view.begin(), view.end(), digest.bytes.begin());
  return digest;
}

std::size_t DigestHash::operator()(const Digest& digest) const noexcept {
  std::size_t value = 0;
  std::memcpy(&value, digest.bytes.data(), sizeof value);
  return value;
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

namespace {
// Fetching the algorithm costs more than hashing a short record, so it is fetched once.
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  UFAB_ASSERT(algorithm != nullptr);
  return algorithm;
}
}  // namespace

Sha256::Sha256() : state_(std::make_unique<State>()) {
  UFAB_ASSERT(state_->context != nullptr);
  UFAB_ASSERT(EVP_DigestInit_ex2(state_->context, sha256_algorithm(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView bytes) {
  UFAB_ASSERT(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
  return *this;
}

Sha256& Sha256::update_u64(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  return update(bytes);
}

Digest Sha256::finish() {
  Digest digest;
  UFAB_ASSERT(EVP_DigestFinal_ex(state_->context, digest.bytes.data(), nullptr) == 1);
  return digest;
}

Digest sha256(ByteView bytes) {
  return sha256(bytes, {});
}

Digest sha256(ByteView first, ByteView second) {
  // A context per thread: making one costs as much as hashing a Merkle node.
  thread_local const Sha256::State kept;
  Digest digest;
  UFAB_ASSERT(EVP_DigestInit_ex2(kept.context, sha256_algorithm(), nullptr) == 1 &&
              EVP_DigestUpdate(kept.context, first.data(), first.size()) == 1 &&
              EVP_DigestUpdate(kept.context, second.data(), second.size()) == 1 &&
              EVP_DigestFinal_ex(kept.context, digest.bytes.data(), nullptr) == 1);
  return digest;
}

Result<Digest> sha256_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return Error{errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, path + ": " + std::strerror(errno)};
  Sha256 hasher;
  Bytes buffer(1 << 20);
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int error = errno;
      ::close(fd);
      return Error{ErrorCode::io, path + ": " + std::strerror(error)};
    }
    if (got == 0) break;
    hasher.update(ByteView(buffer).first(static_cast<std::size_t>(got)));
  }
  ::close(fd);
  return hasher.finish();
}

}  // namespace ufab
