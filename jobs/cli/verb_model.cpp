// model sample, export, import: text from a trained model, its weights in the files of others and back.
#include <boost/json.hpp>
#include <cstdio>
#include <thread>

#include "fabric/base/file.h"
#include "fabric/model/model_files.h"
#include "fabric/train/checkpoint.h"
#include "fabric/train/sample.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"
#include "jobs/node/job_files.h"
#include "jobs/script/values.h"

namespace ufab::jobs {

namespace {

struct ModelSource {
  std::string checkpoint;
  std::string corpus;  // empty: a checkpoint file was named
};

// JOB|CHECKPOINT: the result of a finished job of this home, or a file.
Result<ModelSource> find_model(const Invocation& invocation, const std::string& model) {
  const auto job = parse_count(model, 1, 1'000'000'000'000);
  if (!job) return ModelSource{model, {}};
  UFAB_ASSIGN(const Home home, invocation.home());
  const JobFolder folder(home, *job);
  const std::string checkpoint = folder.result() + "/model.h5";
  if (file_exists(checkpoint)) return ModelSource{checkpoint, folder.corpus()};
  return Error{ErrorCode::not_found,
               "job " + model + " has no model in this home yet; `ufab wait " + model + "`"};
}

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
  UFAB_ASSIGN(const ModelSource source, find_model(invocation, model));
  options.checkpoint = source.checkpoint;
  if (options.corpus.empty()) options.corpus = source.corpus;
  if (options.corpus.empty()) return Error{ErrorCode::usage, "give --corpus FILE with a checkpoint file"};
  UFAB_ASSIGN(const std::string text, sample_text(options));
  std::puts(text.c_str());
  return 0;
}

boost::json::object to_json(const char* schema, const std::string& path, const ModelFile& file) {
  return {{"schema", schema},
          {"path", path},
          {"config", file.config},
          {"tensors", file.tensors},
          {"parameters", file.parameters},
          {"step", file.step},
          {"parameters_digest", file.parameters_digest.str()},
          {"family", kernels::family_name(file.model.family)},
          {"layers", file.model.layers},
          {"heads", file.model.heads},
          {"kv_heads", file.model.kv_heads},
          {"width", file.model.width},
          {"context", file.model.context},
          {"vocab_size", file.model.vocab_size}};
}

// "FILE: 28 tensors, 30144 parameters (2 layers, …), step 100, sha256:…"
void print_summary(const std::string& path, const ModelFile& file) {
  std::printf("%s: %llu tensors, %llu parameters (%s), step %llu, %s\n", path.c_str(),
              static_cast<unsigned long long>(file.tensors), static_cast<unsigned long long>(file.parameters),
              describe_model(file.model).c_str(), static_cast<unsigned long long>(file.step),
              file.parameters_digest.str().c_str());
}

VerbResult export_weights(const Invocation& invocation, Words words) {
  std::string model, output;
  bool as_json = false;
  CommandLine line(
      "model export JOB|CHECKPOINT -o MODEL.safetensors [--json]",
      "Writes a trained model as safetensors with Hugging Face's names, and config.json beside it.");
  line.required("model", model, "a job's number, or a checkpoint file");
  line.text("-o,--output", output, "the file to write");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (output.empty()) return Error{ErrorCode::usage, "give -o MODEL.safetensors"};
  UFAB_ASSIGN(const ModelSource source, find_model(invocation, model));
  UFAB_ASSIGN(const ModelFile file, export_model(source.checkpoint, output));
  if (as_json) {
    print_json(to_json("ufab.model-export/1", output, file));
    return 0;
  }
  print_summary(output, file);
  std::printf("its configuration: %s\n", file.config.c_str());
  return 0;
}

VerbResult import_weights(const Invocation&, Words words) {
  std::string weights, output;
  std::uint64_t heads = 0;
  bool as_json = false;
  CommandLine line("model import MODEL.safetensors -o INIT.h5 [--heads N] [--json]",
                   "Reads weights of a GPT-2 or Llama with Hugging Face's names (F32, F16 or BF16) into a "
                   "checkpoint of step 0 "
                   "that training can start from.");
  line.required("weights", weights, "the safetensors file; config.json beside it gives the model's shape");
  line.text("-o,--output", output, "the checkpoint to write");
  line.number("--heads", heads, "attention heads of a GPT-2, where there is no config.json");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (output.empty()) return Error{ErrorCode::usage, "give -o INIT.h5"};
  if (line.given("--heads") && (heads < 1 || heads > 65'536))
    return Error{ErrorCode::usage, "--heads: from 1 to 65536"};
  UFAB_ASSIGN(const ModelFile file, import_model(weights, output, static_cast<int>(heads)));
  if (as_json) {
    print_json(to_json("ufab.model-import/1", output, file));
    return 0;
  }
  print_summary(output, file);
  std::printf(
      "to start from it: `ufab train --config FILE -- --init %s` with this line under [model] in FILE:\n",
      output.c_str());
  std::printf("init_digest = \"%s\"\n", file.parameters_digest.str().c_str());
  return 0;
}

}  // namespace

VerbResult verb_model(const Invocation& invocation, Words words) {
  const std::string what = words.empty() ? "" : words[0];
  if (what == "sample") return sample(invocation, words.subspan(1));
  if (what == "export") return export_weights(invocation, words.subspan(1));
  if (what == "import") return import_weights(invocation, words.subspan(1));
  const char* usage = "usage: ufab model sample|export|import …; each explains itself with --help";
  if (what == "--help" || what == "-h") {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
