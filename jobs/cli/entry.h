// What both programs of the command line share: `ufab [--home DIR] VERB …`, split and handed to a verb.
#pragma once

#include <span>

#include "jobs/cli/verbs.h"

namespace ufab::jobs {

struct Verb {
  const char* name;
  VerbResult (*run)(const Invocation&, Words);  // nullptr: a verb of ufab-tools
  const char* help;
};

// The whole of a main(). `other` is called for a verb without a function, with main's own arguments.
[[nodiscard]] int run_command_line(int argc, char** argv, std::span<const Verb> verbs,
                                   int (*other)(char** argv));

}  // namespace ufab::jobs
