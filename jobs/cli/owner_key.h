// Records that only the organisation's own key may sign (record_needs_owner), from the command line: by the
// node where its home has org.key, or here with a key that is kept elsewhere. That key is read for the one
// record and never reaches the node.
#pragma once

#include <functional>

#include "accounting/records/record.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

inline constexpr const char* owner_key_help =
    "the organisation's own key, when it is not org.key of this home (or $UFAB_ORG_KEY); signs for the "
    "organisation whose key it is";

struct OwnerKey {
  KeyPair key;
  Digest chain_id;
  std::uint64_t sequence = 0;  // of its next record
  std::string organisation;    // whose key it is
};
// The key that --key or $UFAB_ORG_KEY names, with what the node knows of it; empty when neither does.
[[nodiscard]] Result<std::optional<OwnerKey>> find_owner_key(const Invocation& invocation,
                                                             const std::string& option);

// Signs with `owner` and submits through the node of the home. The answer's `height` is its block.
[[nodiscard]] Result<Answer> file_signed(const Invocation& invocation, const OwnerKey& owner,
                                         RecordBody body);

// Makes the record that the owner signs.
using OwnerBody = std::function<Result<RecordBody>(const OwnerKey&)>;

// Files a record and prints "DONE, block N". With a key that is named, the record is what `body` makes;
// without one the node makes it from `params` ("record", jobs/node/methods.cpp) and signs it with org.key.
VerbResult file_as_owner(const Invocation& invocation, const std::string& key_option, const OwnerBody& body,
                         boost::json::object params, const std::string& done);

}  // namespace ufab::jobs
