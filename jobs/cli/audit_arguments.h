// What several verbs of `ufab audit` take.
#pragma once

#include <optional>
#include <string>

#include "fabric/base/digest.h"

namespace ufab::jobs {

// --chain; none if it is empty.
[[nodiscard]] Result<std::optional<Digest>> chain_argument(const std::string& text);

}  // namespace ufab::jobs
