#include "jobs/cli/owner_key.h"

#include <cstdio>
#include <cstdlib>

#include "fabric/base/clock.h"

namespace ufab::jobs {

Result<std::optional<OwnerKey>> find_owner_key(const Invocation& invocation, const std::string& option) {
  std::string file = option;
  if (const char* named = std::getenv("UFAB_ORG_KEY"); file.empty() && named != nullptr) file = named;
  if (file.empty()) return std::optional<OwnerKey>();
  UFAB_ASSIGN(KeyPair key, KeyPair::load(file));
  const auto answer = ask_node(invocation, "record.next", {{"key", key.public_key().hex()}});
  if (!answer) return answer.error().within(file);
  UFAB_ASSIGN(const std::string chain, json_text(answer->result, "chain_id"));
  UFAB_ASSIGN(const Digest chain_id, Digest::parse(chain));
  UFAB_ASSIGN(const std::uint64_t sequence, json_number(answer->result, "sequence"));
  UFAB_ASSIGN(std::string organisation, json_text(answer->result, "organisation"));
  return std::optional(OwnerKey{std::move(key), chain_id, sequence, std::move(organisation)});
}

Result<Answer> file_signed(const Invocation& invocation, const OwnerKey& owner, RecordBody body) {
  const Record record = sign_record(owner.chain_id, owner.key, owner.sequence, now_us(), std::move(body));
  return ask_node(invocation, "record.submit", {}, encode_record(record));
}

VerbResult file_as_owner(const Invocation& invocation, const std::string& key_option, const OwnerBody& body,
                         boost::json::object params, const std::string& done) {
  UFAB_ASSIGN(const std::optional<OwnerKey> owner, find_owner_key(invocation, key_option));
  Answer answer;
  if (owner) {
    UFAB_ASSIGN(RecordBody made, body(*owner));
    UFAB_ASSIGN(answer, file_signed(invocation, *owner, std::move(made)));
  } else {
    UFAB_ASSIGN(answer, ask_node(invocation, "record", std::move(params)));
  }
  UFAB_ASSIGN(const std::uint64_t height, json_number(answer.result, "height"));
  std::printf("%s, block %llu%s\n", done.c_str(), static_cast<unsigned long long>(height),
              owner ? (", signed for " + owner->organisation).c_str() : "");
  return 0;
}

}  // namespace ufab::jobs
