#include "fabric/train/first_state.h"

#include <fmt/format.h>

#include "fabric/train/checkpoint.h"

namespace ufab {

Result<TrainState> first_state(const Engine& engine, const JobDefinition& definition,
                               const std::string& init) {
  const std::string& wanted = definition.init_digest;
  if (wanted.empty() && !init.empty()) {
    return Error{ErrorCode::usage,
                 fmt::format("--init {}: the definition names no initial parameters; add to [model] the "
                             "init_digest that `ufab model import` printed",
                             init)};
  }
  if (!wanted.empty() && init.empty()) {
    return Error{ErrorCode::usage,
                 fmt::format("the definition starts from the parameters {}: give --init FILE", wanted)};
  }
  TrainState state = engine.initial_state();
  if (init.empty()) return state;
  UFAB_ASSIGN(Checkpoint checkpoint, load_checkpoint(init));
  if (checkpoint.info.model != engine.model()) {
    return Error{ErrorCode::conflict,
                 fmt::format("{}: a model of {}; definition and corpus make one of {}", init,
                             describe_model(checkpoint.info.model), describe_model(engine.model()))};
  }
  if (checkpoint.info.digests.parameters.str() != wanted) {
    return Error{ErrorCode::conflict,
                 fmt::format("{}: holds the parameters {}, the definition starts from {}", init,
                             checkpoint.info.digests.parameters.str(), wanted)};
  }
  state.params = std::move(checkpoint.state.params);
  return state;
}

}  // namespace ufab
