// This node among the validators, for people and programs: what `ufab node status|peers` shows. Thread-safe.
#pragma once

#include <boost/json/object.hpp>

#include "jobs/node/chain.h"

namespace ufab::jobs {

[[nodiscard]] boost::json::object consensus_json(const Chain& chain);  // ufab.node/1
[[nodiscard]] boost::json::object peers_json(const Chain& chain);      // ufab.peers/1

}  // namespace ufab::jobs
