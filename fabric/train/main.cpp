// ufab-train: trains one job on the ranks that mpirun or srun started, re-executes one window of it, says
// what it would take, or runs a benchmark. Exit status: 0 done or everything matched, 1 failed or a mismatch,
// 2 wrong usage, 75 (EX_TEMPFAIL) a peer was lost and the same command may be tried again, 128 + signal when
// it was told to stop.
#include <fmt/format.h>
#include <mpi.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "fabric/base/file.h"
#include "fabric/bench/bench_run.h"
#include "fabric/train/plan_run.h"
#include "fabric/train/trainer.h"
#include "fabric/train/verifier.h"

namespace ufab {
namespace {

constexpr int kTemporaryFailure = 75;

volatile std::sig_atomic_t stop_signal = 0;

extern "C" void on_stop(int signal) {
  stop_signal = signal;
}

struct CommandLine {
  std::string job, data, out = "ufab-out", format, gang, shares, backend = "cpu", resume, init, start, claims;
  std::string progress = "auto";
  std::vector<std::string> settings;
  int threads = 0;
  std::uint64_t keep = 0, window = 0;
  std::uint64_t memory_bytes = 0;
  std::string bench;
  double bench_seconds = 10;
  std::uint64_t bench_repeats = 0;
  bool quiet = false, verify = false, print_plan = false, json = false, recompute = false;
};

Result<DefinitionOverrides> parse_settings(const std::vector<std::string>& settings) {
  DefinitionOverrides overrides;
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{ErrorCode::usage,
                   fmt::format("--set {}: KEY=VALUE is wanted, train.steps=500 for example", setting)};
    }
    overrides.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
  }
  return overrides;
}

// "1:5:2" to weights; "speed" and "equal" leave them empty.
Result<std::vector<std::uint64_t>> parse_shares(const std::string& text) {
  std::vector<std::uint64_t> shares;
  if (text.empty() || text == "speed" || text == "equal") return shares;
  const Error malformed{ErrorCode::usage,
                        fmt::format("--shares {}: weights like 1:5:2, 'equal' or 'speed' are wanted", text)};
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(':', at), text.size());
    const std::string part = text.substr(at, end - at);
    if (part.empty() || part.size() > 6 || part.find_first_not_of("0123456789") != std::string::npos) {
      return malformed;
    }
    shares.push_back(std::stoull(part));
    sum += shares.back();
    at = end + 1;
  }
  if (sum == 0) return malformed;
  return shares;
}

struct Setup {
  JobDefinition definition;
  Gang gang;
  kernels::BackendKind backend = kernels::BackendKind::cpu;
};

Result<Setup> read_setup(CommandLine& line) {
  Setup setup;
  UFAB_ASSIGN(DefinitionOverrides overrides, parse_settings(line.settings));
  if (!line.format.empty()) overrides.emplace_back("train.format", line.format);
  UFAB_ASSIGN(setup.definition, load_definition(line.job, overrides));
  if (line.data.empty()) line.data = setup.definition.corpus;
  if (line.data.empty()) return Error{ErrorCode::usage, "no corpus: give --data FILE or data.corpus"};
  if (line.gang.empty()) {
    setup.gang = gang_of_one(static_cast<std::uint32_t>(setup.definition.micro_batches));
  } else {
    UFAB_ASSIGN(setup.gang, load_gang(line.gang));
  }
  const auto backend = kernels::backend_from_name(line.backend);
  if (!backend) {
    return Error{ErrorCode::usage,
                 fmt::format("--backend {}: {} is wanted", line.backend, kernels::backend_names())};
  }
  setup.backend = *backend;
  return setup;
}

Result<TrainOptions> read_options(CommandLine& line) {
  UFAB_ASSIGN(Setup setup, read_setup(line));
  TrainOptions options;
  options.definition = std::move(setup.definition);
  options.corpus = line.data;
  options.out = line.out;
  options.init = line.init;
  options.resume = line.resume.empty() ? setup.gang.resume : line.resume;
  options.gang = std::move(setup.gang);
  UFAB_ASSIGN(options.shares, parse_shares(line.shares));
  options.measure_shares = line.shares == "speed";
  options.threads = line.threads;
  options.backend = setup.backend;
  options.recompute = line.recompute;
  options.keep = line.keep;
  const auto progress = progress_style_from_name(line.quiet ? "none" : line.progress);
  if (!progress) {
    return Error{ErrorCode::usage,
                 fmt::format("--progress {}: auto, line, lines or none is wanted", line.progress)};
  }
  options.progress = *progress;
  options.memory_bytes = line.memory_bytes;
  return options;
}

// The exit status says whether it would fit.
Result<int> print_plan(const Group& group, CommandLine& line) {
  UFAB_ASSIGN(const TrainOptions options, read_options(line));
  auto inputs = load_inputs(group, options.definition, options.corpus, options.backend, options.threads);
  UFAB_TRY(group.agree(inputs.ok() ? Status{} : inputs.error()));
  const RunPlan run = plan_run(group, options, *inputs);
  if (group.leader()) {
    fmt::print("{}", line.json ? plan_json(run.plan, run.left) : plan_text(run.plan, run.left));
  }
  UFAB_TRY(group.agree(check_fit(run.plan, run.left)));
  return 0;
}

Result<int> run_training(const Group& group, CommandLine& line) {
  UFAB_ASSIGN(const TrainOptions options, read_options(line));
  UFAB_ASSIGN(const TrainResult result, train(group, options, {}, stop_signal));
  if (result.stopped) {
    if (group.leader()) fmt::print(stderr, "ufab-train: stopped after step {}\n", result.step);
    return stop_signal != 0 ? 128 + stop_signal : kTemporaryFailure;
  }
  if (group.leader()) {
    fmt::print("final digest {} step {} loss {:.4f}\n", result.digests.parameters.str(), result.step,
               result.loss);
  }
  return 0;
}

Result<int> run_verification(const Group& group, CommandLine& line) {
  UFAB_ASSIGN(Setup setup, read_setup(line));
  if (line.claims.empty()) return Error{ErrorCode::usage, "--verify needs --claims DIR"};
  VerifyOptions options;
  options.definition = std::move(setup.definition);
  options.corpus = line.data;
  options.window = line.window;
  options.start = line.start;
  options.init = line.init;
  options.gang = std::move(setup.gang);
  options.claims = line.claims;
  options.out = line.out;
  options.threads = line.threads;
  options.backend = setup.backend;
  options.recompute = line.recompute;
  UFAB_ASSIGN(const WindowVerdict verdict, verify_window(group, options, stop_signal));
  if (group.leader()) fmt::print("{}\n", verdict_json(verdict));
  return verdict.matches() ? 0 : 1;
}

Result<int> run_bench(const Group& group, CommandLine& line) {
  BenchOptions options;
  UFAB_ASSIGN(const std::string text, read_text_file(line.bench, 1 << 20));
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    auto seed = Digest::parse(std::string_view(text).substr(at, end - at));
    if (!seed) return seed.error().within(line.bench);
    options.seeds.push_back(*seed);
    at = end + 1;
  }
  options.seconds = line.bench_seconds;
  options.repeats = line.bench_repeats;
  options.threads = std::max(1, line.threads);
  const auto backend = kernels::backend_from_name(line.backend);
  if (!backend)
    return Error{ErrorCode::usage,
                 fmt::format("--backend {}: {} is wanted", line.backend, kernels::backend_names())};
  options.backend = *backend;
  UFAB_ASSIGN(const BenchResult result, run_benchmark(group, options, stop_signal));
  if (!group.leader()) return 0;
  UFAB_TRY(make_folders(line.out));
  UFAB_TRY(write_file_atomic(line.out + "/result.json", as_bytes(bench_result_json(result) + "\n")));
  fmt::print("{} repeats on {} lanes in {:.1f} s\n", result.repeats, result.lanes.size(),
             static_cast<double>(result.elapsed_us) / 1e6);
  return 0;
}

int run(const Group& group, CommandLine& line) {
  auto result = !line.bench.empty() ? run_bench(group, line)
                : line.verify       ? run_verification(group, line)
                : line.print_plan   ? print_plan(group, line)
                                    : run_training(group, line);
  std::fflush(stdout);
  if (result.ok()) return *result;
  if (group.leader()) fmt::print(stderr, "ufab-train: {}\n", result.error().message);
  const ErrorCode code = result.error().code;
  if (code == ErrorCode::unavailable || code == ErrorCode::timeout) return kTemporaryFailure;
  return result.error().exit_status();
}

void define_options(CLI::App& app, CommandLine& line) {
  app.add_option("--job,--config", line.job, "job definition (TOML)");
  app.add_option("--data", line.data, "packed corpus; default: data.corpus of the definition");
  app.add_option("--out", line.out, "output folder")->capture_default_str();
  app.add_option("--set", line.settings, "KEY=VALUE over the definition, for example train.steps=500");
  app.add_option("--format", line.format,
                 "of the linear layers' products: f32, int12 or int8, which are exact, or bf16 (precision "
                 "\"fast\"); as --set "
                 "train.format=");
  app.add_option("--gang", line.gang, "gang.json of a job over several providers");
  app.add_option("--shares", line.shares, "weights of the ranks, 1:5:2; 'equal' (default) or 'speed'");
  app.add_option("--threads", line.threads, "threads per rank; default: cores / ranks of this machine")
      ->check(CLI::Range(0, kernels::kMaxThreads));
  app.add_option(
         "--backend", line.backend,
         kernels::backend_names() +
             "; in an exact format all give the same model; cpu is the fastest that this processor has")
      ->capture_default_str();
  app.add_flag(
      "--recompute", line.recompute,
      "keep each layer's input alone and compute the rest again: less memory, more work, same result");
  app.add_option("--resume", line.resume, "latest (default), none, or a checkpoint");
  app.add_option("--init", line.init, "checkpoint with the parameters that model.init_digest names");
  app.add_option("--keep", line.keep, "newest checkpoints to keep; 0: all");
  app.add_option("--progress", line.progress, "auto, line (redrawn), lines (for files) or none")
      ->capture_default_str();
  app.add_flag("--quiet", line.quiet, "as --progress none");
  app.add_option("--memory", line.memory_bytes,
                 "bytes (512M, 8G) that the job may use on this machine; a job that needs more is refused")
      ->transform(CLI::AsSizeValue(false));
  auto* plan = app.add_flag("--print-plan", line.print_plan,
                            "print what the job will take, memory and work, and do nothing");
  app.add_flag("--json", line.json, "the plan as JSON (--print-plan)")->needs(plan);
  auto* verify =
      app.add_option("--verify", line.window, "re-execute this window and compare")->excludes(plan);
  auto* bench = app.add_option("--bench", line.bench,
                               "file with the seed of each rank's lane: run a benchmark, write result.json");
  app.add_option("--bench-seconds", line.bench_seconds, "how long")->needs(bench)->capture_default_str();
  app.add_option("--bench-repeats", line.bench_repeats, "exactly so many repeats instead")->needs(bench);
  app.add_option("--start", line.start, "checkpoint at the window's start (--verify)")->needs(verify);
  app.add_option("--claims", line.claims, "folder with one sub-folder per member (--verify)")->needs(verify);
}

int main_with_group(const Group& group, int argc, char** argv) {
  CommandLine line;
  CLI::App app{"Trains a job of UtilityFabric, or re-executes a window of it (--verify)", "ufab-train"};
  define_options(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return group.leader() ? app.exit(help) : 0;
  } catch (const CLI::ParseError& error) {
    if (group.leader()) fmt::print(stderr, "ufab-train: {}\n", error.what());
    return 2;
  }
  line.verify = app.count("--verify") > 0;
  if (line.job.empty() && line.bench.empty()) {
    if (group.leader()) fmt::print(stderr, "ufab-train: --job is required\n");
    return 2;
  }
  return run(group, line);
}

}  // namespace
}  // namespace ufab

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = ufab::on_stop;
  int provided = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  // After MPI's start, which installs handlers of its own.
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  const int status = ufab::main_with_group(ufab::Group(MPI_COMM_WORLD), argc, argv);
  MPI_Finalize();
  return status;
}
