#include "accounting/consensus/scheme.h"

namespace ufab::consensus {

const char* vote_kind_name(VoteKind kind) {
  switch (kind) {
    case VoteKind::propose: return "propose";
    case VoteKind::notarise: return "notarise";
    case VoteKind::skip: return "skip";
    case VoteKind::finalise: return "finalise";
  }
  UFAB_ASSERT(false);
  return "";
}

bool Ed25519Scheme::verify(const PublicKey& key, ByteView message, const Signature& signature) const {
  return ufab::verify(key, message, signature);
}

}  // namespace ufab::consensus
