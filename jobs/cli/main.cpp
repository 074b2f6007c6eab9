// ufab: the command line. `ufab help` lists the verbs; `ufab VERB --help` explains one. Verbs that need more
// than a node to ask are those of ufab-tools, which this program becomes.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "jobs/cli/entry.h"

namespace ufab::jobs {

namespace {

constexpr Verb verbs[] = {
    {"init", nullptr, "make a home: keys, configuration, a chain of one's own or a place on another's"},
    {"up", nullptr, "start the node of this home"},
    {"down", nullptr, "stop it; running jobs go on unless --jobs"},
    {"status", nullptr, "the node, its chain, the ticket for others to join"},
    {"provider", nullptr, "offer this machine: init, check, bench, enroll, status, drain, resume, leave"},
    {"submit", verb_submit, "submit a batch script, as sbatch does"},
    {"queue", verb_queue, "jobs that have not ended"},
    {"show", verb_show, "everything about one job"},
    {"logs", verb_logs, "a job's output; -f follows it"},
    {"wait", verb_wait, "wait for a job's end, with progress"},
    {"cancel", verb_cancel, "end a job; complete windows are still paid"},
    {"hold", verb_hold, "keep a job from starting"},
    {"release", verb_release, "let a held job start"},
    {"requeue", verb_requeue, "run a job's open windows again, as a new attempt"},
    {"sacct", verb_sacct, "Slurm's accounting columns over ledger records"},
    {"account", nullptr, "balance, transfer, stake, unstake, history"},
    {"agent", nullptr, "the node's own key beside the organisation's: enroll, allowance, revoke, status"},
    {"validator", nullptr, "stand for a seat among those who make blocks: stand, leave, status"},
    {"node", nullptr, "this node among the validators: status, peers"},
    {"testnet", nullptr, "several nodes on this machine that make one chain together: up, down, status"},
    {"audit", nullptr, "verify, job, prove, check, report, export, reconcile, all offline; import, correct"},
    {"sim", nullptr,
     "queue: a trace under the scheduling policy; consensus, ledger: validators that crash and lie; scale: "
     "the cost"},
    {"data", nullptr, "pack text into a corpus"},
    {"train", nullptr, "inside a batch script: the trainer on this job's ranks"},
    {"model", nullptr,
     "text from a trained model; its weights out to safetensors and in: sample, export, import"},
};

int become_tools(char** argv) {
  const std::string program = program_beside("ufab-tools");
  ::execv(program.c_str(), argv);
  std::fprintf(stderr, "ufab: %s: %s\n", program.c_str(), std::strerror(errno));
  return 1;
}

}  // namespace

}  // namespace ufab::jobs

int main(int argc, char** argv) {
  return ufab::jobs::run_command_line(argc, argv, ufab::jobs::verbs, ufab::jobs::become_tools);
}
