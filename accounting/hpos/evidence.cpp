#include "accounting/hpos/evidence.h"

namespace ufab::hpos {

EvidenceRecord evidence_record(const consensus::Evidence& evidence) {
  const auto part = [](const consensus::Evidence::Part& from) {
    return EvidencePart{from.kind, from.block, from.signature};
  };
  return {evidence.epoch, evidence.view, evidence.key, part(evidence.first), part(evidence.second)};
}

consensus::Evidence evidence_of(const Digest& chain_id, const EvidenceRecord& record) {
  const auto part = [](const EvidencePart& from) {
    return consensus::Evidence::Part{from.kind, from.block, from.signature};
  };
  return {chain_id, record.epoch, record.view, record.key, part(record.first), part(record.second)};
}

}  // namespace ufab::hpos
