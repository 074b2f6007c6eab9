// ufab: the command line. `ufab help` lists the verbs; `ufab VERB --help` explains one.
#include <cstdio>
#include <string>
#include <vector>

#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

struct Verb {
  const char* name;
  VerbResult (*run)(const Invocation&, Words);
  const char* help;
};

constexpr Verb verbs[] = {
    {"init", verb_init, "make a home: keys, configuration, a chain of one's own or a place on another's"},
    {"up", verb_up, "start the node of this home"},
    {"down", verb_down, "stop it; running jobs go on unless --jobs"},
    {"status", verb_status, "the node, its chain, the ticket for others to join"},
    {"provider", verb_provider,
     "offer this machine: init, check, bench, enroll, status, drain, resume, leave"},
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
    {"account", verb_account, "balance, transfer, stake, unstake, history"},
    {"audit", verb_audit, "verify, job, prove, check, report; all offline"},
    {"data", verb_data, "pack text into a corpus"},
    {"train", verb_train, "inside a batch script: the trainer on this job's ranks"},
    {"model", verb_model, "sample text from a trained model"},
};
// Verbs of the design that this version does not have.
constexpr const char* absent[] = {"top", "sim"};

void print_help() {
  std::puts(
      "usage: ufab [--home DIR] VERB …\n\n"
      "One batch job trained by several organisations, the same to the last bit whoever computed it.\n");
  for (const Verb& verb : verbs) std::printf("  %-10s %s\n", verb.name, verb.help);
  std::puts(
      "\nThe home is --home, $UFAB_HOME or ~/.ufab. Exit status: 0 done, 1 failed, 2 usage, 3 node "
      "unreachable.");
}

int run(const std::vector<std::string>& words) {
  Invocation invocation;
  std::size_t at = 0;
  for (; at < words.size() && words[at].starts_with("-"); ++at) {
    if (words[at] == "--home" && at + 1 < words.size()) {
      invocation.home_option = words[++at];
    } else if (words[at].starts_with("--home=")) {
      invocation.home_option = words[at].substr(7);
    } else if (words[at] == "--version") {
      std::puts("ufab 0.1.0");
      return 0;
    } else if (words[at] == "-h" || words[at] == "--help") {
      print_help();
      return 0;
    } else {
      std::fprintf(stderr, "ufab: unknown option %s; `ufab help` lists the verbs\n", words[at].c_str());
      return 2;
    }
  }
  if (at == words.size() || words[at] == "help") {
    print_help();
    return at == words.size() ? 2 : 0;
  }
  const std::string& name = words[at];
  std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.end());
  // --home may follow the verb as well: people forget which side it belongs to.
  if (name != "train" && name != "submit") {
    for (std::size_t i = 0; i + 1 < rest.size(); ++i) {
      if (rest[i] != "--home") continue;
      invocation.home_option = rest[i + 1];
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i),
                 rest.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      break;
    }
  }
  for (const Verb& verb : verbs) {
    if (name != verb.name) continue;
    const VerbResult result = verb.run(invocation, rest);
    if (result.ok()) return *result;
    std::fprintf(stderr, "ufab: %s\n", result.error().message.c_str());
    return result.error().exit_status();
  }
  for (const char* verb : absent) {
    if (name != verb) continue;
    std::fprintf(stderr, "ufab: this version has no `ufab %s`\n", verb);
    return 2;
  }
  std::fprintf(stderr, "ufab: no verb '%s'; `ufab help` lists them\n", name.c_str());
  return 2;
}

}  // namespace

}  // namespace ufab::jobs

int main(int argc, char** argv) {
  return ufab::jobs::run({argv + 1, argv + argc});
}
