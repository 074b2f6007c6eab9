// Exact training steps: GPT-2 124M at batch 4 x 64 and 1 x 1024 against libtorch in float32 (time and peak
// memory) and against the step's own floor (step_floor.h), and the small character model's step time.
//
//   bench_train                       all figures
//   bench_train --run MODEL FORMAT THREADS STEPS BATCH SEQ     one process: seconds per step, one a line
//   bench_train --floor MODEL FORMAT THREADS STEPS BATCH SEQ   one process: the step's seconds, the floor's
//       for matmuls and for AdamW, and the bytes a second of a copy and of an update in place
// With UFAB_BENCH_PROFILE=1 each process of --floor prints to stderr where its steps' time went.
//
// Ours, in each format of the linear layers' products (kernels/integer.h), is a job's step on one rank
// (training_run.h). The peer is given what makes it fastest on the machine, once it has warmed up, and
// does not clip; its peak memory is measured in a process that is not, for that takes more.
#include <array>
#include <cstdlib>
#include <cstring>

#include "tests/bench/train/process.h"
#include "tests/bench/train/profile.h"
#include "tests/bench/train/training_run.h"

namespace ufab::bench {
namespace {

using namespace kernels;

constexpr ModelConfig k124M =
    Gpt2Shape{.vocab_size = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
constexpr ModelConfig kSmall =
    Gpt2Shape{.vocab_size = 256, .context = 64, .layers = 4, .heads = 4, .width = 128};
constexpr int kThreads = 2;
constexpr int kPeerWarmUp = 5;  // steps until its heap has all the memory that it will use again

struct BatchShape {
  int batch, seq;
  int steps;       // of a process of ours, the first is warm-up
  int peer_steps;  // after its warm-up
  double aims[4];  // tokens/s against the peer, of each of kFormats; 0: none
  double memory_aim;
};
constexpr BatchShape kShapes[] = {{4, 64, 6, 3, {6, 8, 8, 0}, 0.8}, {1, 1024, 4, 2, {6, 8, 8, 0}, 0.8}};
constexpr MatmulFormat kFormats[] = {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8,
                                     MatmulFormat::bf16};

struct Ours {
  std::optional<Measurement> steps, floor;
};

// Environment of the peer: its matrix library's kernels for this processor, and threads of its two pools that
// do not keep the cores from one another.
void prepare_peer() {
  if (backend_available(BackendKind::cpu_avx512)) setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 1);
  setenv("OPENBLAS_THREAD_TIMEOUT", "20", 1);
  setenv("GOMP_SPINCOUNT", "10000", 1);
}

void print_speed_and_memory(const std::string& name, const BatchShape& shape, double aim,
                            const Measurement& ours, const std::optional<Measurement>& peer,
                            const std::optional<Measurement>& peer_memory) {
  const double tokens = shape.batch * shape.seq;
  const double speed = tokens / median(ours.numbers);
  const double peer_speed = peer ? tokens / median(peer->numbers) : -1;
  print({.group = "train",
         .name = name,
         .unit = "tokens/s",
         .ours = speed,
         .peer = peer_speed,
         .ratio = speed / peer_speed,
         .aim = aim});
  const double peer_mib = peer_memory ? peer_memory->peak_mib : -1;
  print({.group = "train",
         .name = name + " peak memory",
         .unit = "MiB",
         .ours = ours.peak_mib,
         .peer = peer_mib,
         .ratio = ours.peak_mib / peer_mib,
         .aim = shape.memory_aim,
         .at_most = true});
}

// The numbers of one process of --floor.
void print_floor_share(const std::string& name, const std::vector<double>& numbers) {
  if (numbers.size() != 5) return;
  const double step = numbers[0], floor = numbers[1] + numbers[2];
  print({.group = "train",
         .name = name + " share of its floor",
         .unit = "s",
         .ours = step,
         .peer = floor,
         .ratio = floor / step,
         .aim = 0.8,
         .peer_name = "its floor",
         .peers = {{"floor_matmul_s", numbers[1]},
                   {"floor_adamw_s", numbers[2]},
                   {"copy_gb_per_s", numbers[3] * 1e-9},
                   {"update_gb_per_s", numbers[4] * 1e-9}}});
}

void compare_124m(const std::string& self, const std::string& folder, const BatchShape& shape) {
  constexpr int kRounds = 2;
  const auto text = [](int number) { return std::to_string(number); };
  const auto peer_process = [&](int steps, const char* memory) {
    return measure_process({folder + "/peer/bench_train_torch", text(kThreads), text(steps),
                            text(shape.batch), text(shape.seq), memory});
  };
  const auto own_process = [&](const char* what, MatmulFormat format) {
    return measure_process({self, what, "124m", format_name(format), text(kThreads), text(shape.steps),
                            text(shape.batch), text(shape.seq)});
  };
  std::array<Ours, std::size(kFormats)> ours;
  std::optional<Measurement> peer;
  const std::optional<Measurement> peer_memory = peer_process(2, "return");
  for (int round = 0; round < kRounds; ++round) {
    merge(peer, peer_process(kPeerWarmUp + shape.peer_steps, "keep"), kPeerWarmUp);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      merge(ours[i].steps, own_process("--run", kFormats[i]), 1);
    }
  }
  for (std::size_t i = 0; i < ours.size(); ++i) ours[i].floor = own_process("--floor", kFormats[i]);
  if (!peer) std::fprintf(stderr, "bench train: libtorch's program is absent or failed; no ratios\n");
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const std::string name =
        "gpt2-124m " + text(shape.batch) + "x" + text(shape.seq) + " " + format_name(kFormats[i]);
    if (ours[i].steps) {
      print_speed_and_memory(name, shape, shape.aims[i], *ours[i].steps, peer, peer_memory);
    }
    if (ours[i].floor) print_floor_share(name, ours[i].floor->numbers);
  }
}

void time_small(const std::string& self) {
  for (const int threads : {1, 2}) {
    std::optional<Measurement> result;
    merge(result,
          measure_process({self, "--run", "small", "f32", std::to_string(threads), "101", "12", "64"}), 1);
    if (!result) continue;
    print({.group = "train",
           .name = "small model 12x64 step, threads=" + std::to_string(threads),
           .unit = "ms",
           .ours = median(result->numbers) * 1e3,
           .peer = -1,
           .ratio = 0,
           .aim = threads == 2 ? 40.0 : 0.0,
           .at_most = true});
  }
}

// One process: MODEL FORMAT THREADS STEPS BATCH SEQ.
struct OneRun {
  const ModelConfig& config;
  MatmulFormat format;
  int threads, steps, batch, seq;
};
std::optional<OneRun> parse(char** arguments) {
  const auto format = format_from_name(arguments[1]);
  if (!format) return std::nullopt;
  return OneRun{std::strcmp(arguments[0], "small") == 0 ? kSmall : k124M,
                *format,
                std::atoi(arguments[2]),
                std::atoi(arguments[3]),
                std::atoi(arguments[4]),
                std::atoi(arguments[5])};
}

int run_steps(const OneRun& one) {
  const auto backend = make_backend(BackendKind::cpu, one.threads);
  TrainingRun run(one.config, one.format, one.batch, one.seq, *backend);
  for (int step = 0; step < one.steps; ++step) std::printf("%.6f\n", run.step());
  return 0;
}

int run_with_floor(const OneRun& one) {
  const auto backend = make_backend(BackendKind::cpu, one.threads);
  TimedBackend timed(*backend);
  TrainingRun run(one.config, one.format, one.batch, one.seq, timed);
  run.step();  // warm-up, which says what the products are
  StepFloor floor(*backend, timed.products(), 1, model_parameter_count(one.config));
  timed.reset();
  std::vector<double> seconds;
  double total = 0;
  for (int step = 1; step < one.steps; ++step) {
    seconds.push_back(run.step());
    total += seconds.back();
    floor.measure();
  }
  std::printf("%.6f\n%.6f\n%.6f\n%.6g\n%.6g\n", median(seconds), floor.matmul_seconds(),
              floor.optimizer_seconds(), floor.copy_bandwidth(), floor.update_bandwidth());
  const char* wanted = std::getenv("UFAB_BENCH_PROFILE");
  if (wanted == nullptr || std::strcmp(wanted, "1") != 0) return 0;
  const std::string title = std::to_string(one.batch) + "x" + std::to_string(one.seq) + " " +
                            format_name(one.format) + ", " + std::to_string(one.threads) + " threads";
  print_profile(title, timed, floor, one.config.vocab_size, one.steps - 1, total);
  return 0;
}

}  // namespace
}  // namespace ufab::bench

int main(int argc, char** argv) {
  using namespace ufab::bench;
  if (argc == 8 && (std::strcmp(argv[1], "--run") == 0 || std::strcmp(argv[1], "--floor") == 0)) {
    const auto one = parse(argv + 2);
    if (!one) return 2;
    return std::strcmp(argv[1], "--run") == 0 ? run_steps(*one) : run_with_floor(*one);
  }
  if (argc != 1) {
    std::fprintf(stderr, "usage: bench_train [--run|--floor small|124m FORMAT THREADS STEPS BATCH SEQ]\n");
    return 2;
  }
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return 1;
  const std::string self(path, static_cast<std::size_t>(length));
  prepare_peer();
  for (const BatchShape& shape : kShapes) compare_124m(self, self.substr(0, self.rfind('/')), shape);
  time_small(self);
  return 0;
}
