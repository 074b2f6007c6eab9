// ufab-tools: the verbs that `ufab` leaves to it (jobs/cli/main.cpp explains them).
#include "jobs/cli/entry.h"

namespace ufab::jobs {

namespace {

constexpr Verb verbs[] = {
    {"init", verb_init, ""},
    {"up", verb_up, ""},
    {"down", verb_down, ""},
    {"status", verb_status, ""},
    {"provider", verb_provider, ""},
    {"account", verb_account, ""},
    {"agent", verb_agent, ""},
    {"audit", verb_audit, ""},
    {"sim", verb_sim, ""},
    {"data", verb_data, ""},
    {"train", verb_train, ""},
    {"model", verb_model, ""},
    {"validator", verb_validator, ""},
    {"node", verb_node, ""},
    {"testnet", verb_testnet, ""},
};

}  // namespace

}  // namespace ufab::jobs

int main(int argc, char** argv) {
  return ufab::jobs::run_command_line(argc, argv, ufab::jobs::verbs, nullptr);
}
