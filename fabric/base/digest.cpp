#include "fabric/base/digest.h"

#include <algorithm>
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

}  // namespace ufab
