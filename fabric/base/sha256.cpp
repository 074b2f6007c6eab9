// SHA-256 itself; apart from the value type, so that a program that only carries digests starts without
// OpenSSL.
#include <fcntl.h>
// The plain functions, which OpenSSL 3 would rather see replaced by EVP: most of what is hashed here is one
// to three blocks long, where what EVP does around each digest takes as long as the digest.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "fabric/base/digest.h"

namespace ufab {

struct Sha256::State {
  SHA256_CTX context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  UFAB_ASSERT(SHA256_Init(&state_->context) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(ByteView bytes) {
  UFAB_ASSERT(SHA256_Update(&state_->context, bytes.data(), bytes.size()) == 1);
  return *this;
}

Sha256& Sha256::update_u64(std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(value >> (8 * i));
  return update(bytes);
}

Digest Sha256::finish() {
  Digest digest;
  UFAB_ASSERT(SHA256_Final(digest.bytes.data(), &state_->context) == 1);
  return digest;
}

Digest sha256(ByteView bytes) {
  return sha256(bytes, {});
}

Digest sha256(ByteView first, ByteView second) {
  SHA256_CTX context;
  Digest digest;
  UFAB_ASSERT(SHA256_Init(&context) == 1 && SHA256_Update(&context, first.data(), first.size()) == 1 &&
              SHA256_Update(&context, second.data(), second.size()) == 1 &&
              SHA256_Final(digest.bytes.data(), &context) == 1);
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
