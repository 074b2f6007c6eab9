// Exact training steps: GPT-2 124M at batch 4 x 64 against libtorch (time and peak memory), and the small
// character model's step time.
//
// Each measurement is a process of its own, ours and the peer's in turns, because peak memory is a process's.
//   bench_train                       all figures
//   bench_train --run MODEL FORMAT THREADS STEPS BATCH SEQ     one process: seconds per step, one a line
//
// Ours, in each format of the linear layers' products (kernels/integer.h), is a job's step on one rank:
// integer sums of all tensors, their norm, clipping, AdamW. The peer does not clip.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>

#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/model.h"
#include "kernels/philox.h"
#include "tests/bench/kernels/support.h"

namespace ufab::bench {
namespace {

using namespace kernels;

constexpr ModelConfig k124M =
    Gpt2Shape{.vocab_size = 50257, .context = 1024, .layers = 12, .heads = 12, .width = 768};
constexpr ModelConfig kSmall =
    Gpt2Shape{.vocab_size = 256, .context = 64, .layers = 4, .heads = 4, .width = 128};
constexpr int kThreads = 2;

// One process's measurement: trains and prints the seconds of each step.
class Run {
 public:
  Run(const ModelConfig& config, MatmulFormat format, int threads, int batch, int seq)
      : backend_(make_backend(BackendKind::cpu, threads)),
        tensors_(model_parameters(config)),
        model_(config, batch, seq, *backend_, format),
        exponents_(tensors_.size(), kFirstExponent) {
    params_.resize(model_parameter_count(config));
    model_init(config, 1, params_);
    m_.resize(params_.size());
    v_.resize(params_.size());
    sums_.resize(params_.size());
    for (int i = 0; i < batch * seq; ++i) {
      const PhiloxCounter words = philox_block(1, 1, static_cast<std::uint64_t>(i));
      const auto vocab = static_cast<std::uint32_t>(config.vocab_size);
      inputs_.push_back(static_cast<std::int32_t>(words[0] % vocab));
      targets_.push_back(static_cast<std::int32_t>(words[1] % vocab));
    }
  }
  double step() {
    ++steps_;
    return time_once([&] { run_step(); });
  }

 private:
  void run_step() {
    std::fill(sums_.begin(), sums_.end(), 0);
    std::vector<std::uint64_t> peaks(tensors_.size());
    model_.forward_backward(params_, inputs_, targets_,
                            [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
                              const std::size_t at = tensors_[tensor].offset + first;
                              const auto result = quantize_add(*backend_, gradient, exponents_[tensor], at,
                                                               std::span(sums_).subspan(at, gradient.size()));
                              peaks[tensor] = std::max(peaks[tensor], result.peak);
                              if (result.peak < kPeakLimit && !result.non_finite) return;
                              std::fprintf(stderr, "bench_train: a gradient left the fixed-point range\n");
                              std::exit(1);
                            });
    const float scale = gradient_clip_scale(gradient_norm(*backend_, tensors_, sums_, exponents_, 1), 1.0F);
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      const auto part = [&](auto& whole) {
        return std::span(whole).subspan(tensors_[t].offset, tensors_[t].count);
      };
      adamw_step(*backend_, config_, steps_, exponents_[t], 1, scale, tensors_[t].decay, part(sums_),
                 part(params_), part(m_), part(v_));
      exponents_[t] = next_exponent(exponents_[t], peaks[t]);
    }
  }

  AdamWConfig config_;
  std::unique_ptr<Backend> backend_;
  std::vector<ParameterTensor> tensors_;
  Model model_;
  std::vector<int> exponents_;
  std::vector<float> params_, m_, v_;
  std::vector<std::int32_t> sums_;
  std::vector<std::int32_t> inputs_, targets_;
  std::uint64_t steps_ = 0;
};

struct Measurement {
  std::vector<double> seconds;
  double peak_mib = 0;
};

// Runs a program to its end; nullopt when it cannot be run or fails.
std::optional<Measurement> measure_process(const std::vector<std::string>& arguments) {
  int channel[2];
  if (pipe(channel) != 0) return std::nullopt;
  const pid_t child = fork();
  if (child == 0) {
    dup2(channel[1], STDOUT_FILENO);
    close(channel[0]);
    close(channel[1]);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(channel[1]);
  Measurement result;
  FILE* lines = fdopen(channel[0], "r");
  for (double seconds = 0; std::fscanf(lines, "%lf", &seconds) == 1;) result.seconds.push_back(seconds);
  std::fclose(lines);
  int status = 0;
  rusage usage{};
  if (child < 0 || wait4(child, &status, 0, &usage) != child || status != 0 || result.seconds.size() < 2) {
    return std::nullopt;
  }
  result.seconds.erase(result.seconds.begin());  // warm-up
  result.peak_mib = static_cast<double>(usage.ru_maxrss) / 1024;
  return result;
}

void merge(std::optional<Measurement>& into, const std::optional<Measurement>& from) {
  if (!from) return;
  if (!into) into.emplace();
  into->seconds.insert(into->seconds.end(), from->seconds.begin(), from->seconds.end());
  into->peak_mib = std::max(into->peak_mib, from->peak_mib);
}

void compare_124m(const std::string& self, const std::string& folder) {
  constexpr int kBatch = 4, kSeq = 64, kRounds = 2;
  const std::string threads = std::to_string(kThreads), batch = std::to_string(kBatch),
                    seq = std::to_string(kSeq);
  struct Ours {
    MatmulFormat format;
    double aim;
    std::optional<Measurement> measured;
  };
  std::array<Ours, 3> ours{
      {{MatmulFormat::f32, 6, {}}, {MatmulFormat::int12, 8, {}}, {MatmulFormat::int8, 8, {}}}};
  std::optional<Measurement> peer;
  for (int round = 0; round < kRounds; ++round) {
    merge(peer, measure_process({folder + "/peer/bench_train_torch", threads, "3", batch, seq}));
    for (Ours& one : ours) {
      const std::string format = format_name(one.format);
      merge(one.measured, measure_process({self, "--run", "124m", format, threads, "6", batch, seq}));
    }
  }
  if (!peer) std::fprintf(stderr, "bench train: libtorch's program is absent or failed; no ratios\n");
  const double tokens = kBatch * kSeq;
  const double peer_speed = peer ? tokens / median(peer->seconds) : -1,
               peer_memory = peer ? peer->peak_mib : -1;
  for (const Ours& one : ours) {
    if (!one.measured) continue;
    const double speed = tokens / median(one.measured->seconds), memory = one.measured->peak_mib;
    const std::string name = std::string("gpt2-124m 4x64 ") + format_name(one.format);
    print({.group = "train",
           .name = name,
           .unit = "tokens/s",
           .ours = speed,
           .peer = peer_speed,
           .ratio = speed / peer_speed,
           .aim = one.aim});
    print({.group = "train",
           .name = name + " peak memory",
           .unit = "MiB",
           .ours = memory,
           .peer = peer_memory,
           .ratio = memory / peer_memory,
           .aim = 0.6,
           .at_most = true});
  }
}

void time_small(const std::string& self) {
  for (const int threads : {1, 2}) {
    const auto result =
        measure_process({self, "--run", "small", "f32", std::to_string(threads), "101", "12", "64"});
    if (!result) continue;
    print({.group = "train",
           .name = "small model 12x64 step, threads=" + std::to_string(threads),
           .unit = "ms",
           .ours = median(result->seconds) * 1e3,
           .peer = -1,
           .ratio = 0,
           .aim = threads == 2 ? 40.0 : 0.0,
           .at_most = true});
  }
}

int run_one(char** arguments) {
  const bool small = std::strcmp(arguments[0], "small") == 0;
  const auto format = format_from_name(arguments[1]);
  if (!format) return 2;
  const int steps = std::atoi(arguments[3]);
  Run run(small ? kSmall : k124M, *format, std::atoi(arguments[2]), std::atoi(arguments[4]),
          std::atoi(arguments[5]));
  for (int step = 0; step < steps; ++step) std::printf("%.6f\n", run.step());
  return 0;
}

}  // namespace
}  // namespace ufab::bench

int main(int argc, char** argv) {
  if (argc == 8 && std::strcmp(argv[1], "--run") == 0) return ufab::bench::run_one(argv + 2);
  if (argc != 1) {
    std::fprintf(stderr, "usage: bench_train [--run small|124m FORMAT THREADS STEPS BATCH SEQ]\n");
    return 2;
  }
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return 1;
  const std::string self(path, static_cast<std::size_t>(length));
  ufab::bench::compare_124m(self, self.substr(0, self.rfind('/')));
  ufab::bench::time_small(self);
  return 0;
}
