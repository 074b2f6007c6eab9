#include "jobs/cli/entry.h"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace ufab::jobs {

namespace {

// Verbs of the design that this version does not have.
constexpr const char* absent[] = {"top"};

void print_help(std::span<const Verb> verbs) {
  std::puts(
      "usage: ufab [--home DIR] VERB …\n\n"
      "One batch job trained by several organisations, the same to the last bit whoever computed it.\n");
  for (const Verb& verb : verbs) std::printf("  %-10s %s\n", verb.name, verb.help);
  std::puts(
      "\nThe home is --home, $UFAB_HOME or ~/.ufab. Exit status: 0 done, 1 failed, 2 usage, 3 node "
      "unreachable.");
}

// Takes "--home DIR" or "--home=DIR" at words[at] out of the words. An Error when the folder is missing.
Result<bool> take_home(std::vector<std::string>& words, std::size_t at, Invocation& invocation) {
  const std::string& word = words[at];
  std::size_t taken = 0;
  std::string folder;
  if (word.starts_with("--home=")) {
    folder = word.substr(7);
    taken = 1;
  } else if (word == "--home") {
    if (at + 1 < words.size()) folder = words[at + 1];
    taken = 2;
  }
  if (taken == 0) return false;
  if (folder.empty()) return Error{ErrorCode::usage, "--home needs a folder"};
  invocation.home_option = folder;
  const auto first = words.begin() + static_cast<std::ptrdiff_t>(at);
  words.erase(first, first + static_cast<std::ptrdiff_t>(taken));
  return true;
}

// --home may follow the verb as well: people forget which side it belongs to. What follows a script, or goes
// to the trainer, is theirs.
Status take_home_behind(const std::string& verb, std::vector<std::string>& words, Invocation& invocation) {
  if (verb == "train") return {};
  const bool only_in_front = verb == "submit";
  for (std::size_t at = 0; at < words.size();) {
    if (words[at] == "--") return {};
    UFAB_ASSIGN(const bool taken, take_home(words, at, invocation));
    if (taken) continue;
    if (only_in_front) return {};
    ++at;
  }
  return {};
}

int fail(const Error& error) {
  std::fprintf(stderr, "ufab: %s\n", error.message.c_str());
  return error.exit_status();
}

int run(std::vector<std::string> words, std::span<const Verb> verbs, int (*other)(char** argv), char** argv) {
  Invocation invocation;
  while (!words.empty() && words[0].starts_with("-")) {
    const auto taken = take_home(words, 0, invocation);
    if (!taken) return fail(taken.error());
    if (*taken) continue;
    if (words[0] == "--version") {
      std::puts("ufab 0.1.0");
      return 0;
    }
    if (words[0] == "-h" || words[0] == "--help") {
      print_help(verbs);
      return 0;
    }
    return fail({ErrorCode::usage, "unknown option " + words[0] + "; `ufab help` lists the verbs"});
  }
  if (words.empty() || words[0] == "help") {
    print_help(verbs);
    return words.empty() ? 2 : 0;
  }
  const std::string name = words[0];
  words.erase(words.begin());
  if (const Status status = take_home_behind(name, words, invocation); !status.ok())
    return fail(status.error());
  for (const Verb& verb : verbs) {
    if (name != verb.name) continue;
    if (verb.run == nullptr) return other(argv);
    const VerbResult result = verb.run(invocation, words);
    return result.ok() ? *result : fail(result.error());
  }
  for (const char* verb : absent) {
    if (name != verb) continue;
    return fail({ErrorCode::usage, "this version has no `ufab " + name + "`"});
  }
  return fail({ErrorCode::usage, "no verb '" + name + "'; `ufab help` lists them"});
}

}  // namespace

int run_command_line(int argc, char** argv, std::span<const Verb> verbs, int (*other)(char** argv)) {
  try {
    return run({argv + 1, argv + argc}, verbs, other, argv);
  } catch (const std::exception& error) {  // an answer of another version's node, no memory
    std::fprintf(stderr, "ufab: internal error: %s\n", error.what());
    return 1;
  }
}

}  // namespace ufab::jobs
