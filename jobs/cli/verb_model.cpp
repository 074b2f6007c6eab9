// model sample: text from a trained model.
#include <cstdio>
#include <thread>

#include "fabric/base/file.h"
#include "fabric/train/sample.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/job_files.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

VerbResult sample(const Invocation& invocation, Words words) {
  std::string model;
  SampleOptions options;
  std::uint64_t tokens = options.tokens;
  CommandLine line(
      "model sample JOB|CHECKPOINT [--prompt TEXT] [--tokens N]",
      "Text from a trained model: the result of a finished job of this home, or any checkpoint.");
  line.required("model", model, "a job's number, or a checkpoint file");
  line.text("--corpus", options.corpus, "corpus with the model's tokenizer (needed with a checkpoint file)");
  line.text("--prompt", options.prompt, "what it continues (default: a new line)");
  line.number("--tokens", tokens, "how many tokens (default 200)");
  line.decimal("--temperature", options.temperature, "0: always the most likely (default 0.8)");
  line.number("--seed", options.seed, "same seed, same text (default 1)");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (tokens < 1 || tokens > kSampleTokensMax) return Error{ErrorCode::usage, "--tokens: from 1 to 100000"};
  options.tokens = static_cast<std::uint32_t>(tokens);
  options.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  options.checkpoint = model;
  if (const auto job = parse_count(model, 1, 1'000'000'000'000); job.ok()) {
    UFAB_ASSIGN(const Home home, invocation.home());
    const JobFolder folder(home, *job);
    options.checkpoint = folder.result() + "/model.h5";
    if (!file_exists(options.checkpoint)) {
      return Error{ErrorCode::not_found,
                   "job " + model + " has no model in this home yet; `ufab wait " + model + "`"};
    }
    if (options.corpus.empty()) options.corpus = folder.corpus();
  } else if (options.corpus.empty()) {
    return Error{ErrorCode::usage, "give --corpus FILE with a checkpoint file"};
  }
  UFAB_ASSIGN(const std::string text, sample_text(options));
  std::puts(text.c_str());
  return 0;
}

}  // namespace

VerbResult verb_model(const Invocation& invocation, Words words) {
  if (!words.empty() && words[0] == "sample") return sample(invocation, words.subspan(1));
  if (!words.empty() && words[0] == "export")
    return Error{ErrorCode::usage, "this version has no `ufab model export`"};
  const char* usage = "usage: ufab model sample JOB|CHECKPOINT [--prompt TEXT] [--tokens N]";
  if (!words.empty() && (words[0] == "--help" || words[0] == "-h")) {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
