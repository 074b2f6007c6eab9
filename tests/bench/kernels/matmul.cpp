// Exact matmul, forward and both gradients, against sgemm of OpenBLAS and of oneDNN at the shapes of GPT-2
// 124M: in float32, and in the integer formats (kernels/integer.h), whose time includes the quantisation of
// both operands; their GFLOP/s are those of the product asked for.
//
// All run in this process, in turns; a figure is the ratio of median times, against the faster peer. Beside
// it stands what the speed is worth: the relative RMS error against a float64 product of the same binary32
// operands, on a sample of the outputs, and what the time includes beside the product. A peer packs its
// operands too, but adds no bias. Without peers the figures stand alone.
#include <cmath>
#include <functional>
#include <map>
#include <thread>

#include "kernels/backend.h"
#include "tests/bench/kernels/peers.h"
#include "tests/bench/kernels/products.h"
#include "tests/bench/kernels/support.h"

namespace ufab::bench {
namespace {

using kernels::Backend;
using kernels::BackendKind;
using kernels::MatmulFormat;

// Long enough for the other side's idle threads to fall asleep.
double time_after_pause(const std::function<void()>& body) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return time_once(body);
}

struct FormatAim {
  MatmulFormat format;
  double aim;
};
constexpr FormatAim kFormats[] = {{MatmulFormat::f32, 1.0},
                                  {MatmulFormat::int12, 1.4},
                                  {MatmulFormat::int8, 2.2},
                                  {MatmulFormat::bf16, 0}};  // fast

// One of those that take turns at a product.
struct Contender {
  std::string name;
  std::function<void()> multiply;
  bool with_bias;
  std::vector<double> seconds;
  double error = 0;
};

struct Means {
  struct Mean {
    double sum = 0;
    int count = 0;
  };
  std::map<std::pair<int, MatmulFormat>, Mean> of;  // (threads, format)
};

std::string includes(const Layer& layer, Pass pass, MatmulFormat format) {
  std::string text = format == MatmulFormat::f32    ? "packing"
                     : format == MatmulFormat::bf16 ? "rounding, packing"
                                                    : "quantisation, packing";
  if (pass == Pass::forward && layer.shape.bias) text += ", bias";
  return text;
}

void measure(Backend& backend, const std::vector<Peer>& peers, Layer& layer, Pass pass,
             const ExactSample& exact, Means& means) {
  const Gemm gemm = layer.gemm(pass);
  const bool bias = pass == Pass::forward && layer.shape.bias;
  std::vector<Contender> contenders;
  for (const FormatAim& wanted : kFormats) {
    const auto multiply = [&, format = wanted.format] { layer.ours(backend, pass, format); };
    contenders.push_back({kernels::format_name(wanted.format), multiply, bias, {}});
  }
  for (const Peer& peer : peers) {
    contenders.push_back({peer.name, [&] { peer.sgemm(gemm); }, false, {}});
  }
  for (Contender& contender : contenders) {  // warms them up, too
    contender.multiply();
    contender.error = exact.relative_error(gemm, contender.with_bias);
  }
  const double gflop = flop(layer.shape) * 1e-9;
  const int rounds = std::clamp(static_cast<int>(20 / gflop), 3, 21);
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) contender.seconds.push_back(time_after_pause(contender.multiply));
  }

  const auto rate = [&](const Contender& contender) { return gflop / median(contender.seconds); };
  const Contender* best = nullptr;
  std::vector<std::pair<std::string, double>> rates;
  for (std::size_t i = std::size(kFormats); i < contenders.size(); ++i) {
    rates.emplace_back(contenders[i].name, rate(contenders[i]));
    if (best == nullptr || rate(contenders[i]) > rate(*best)) best = &contenders[i];
  }
  for (std::size_t i = 0; i < std::size(kFormats); ++i) {
    const auto [m, k, n, with_bias] = layer.shape;
    Figure figure{.group = "kernels",
                  .name = "matmul " + contenders[i].name + " " + pass_name(pass) + " " + std::to_string(m) +
                          "x" + std::to_string(k) + "x" + std::to_string(n) +
                          " threads=" + std::to_string(backend.threads()),
                  .unit = "GFLOP/s",
                  .ours = rate(contenders[i]),
                  .peer = -1,
                  .ratio = 0,
                  .aim = kFormats[i].aim};
    figure.gflops = figure.ours;
    figure.relative_error = contenders[i].error;
    figure.includes = includes(layer, pass, kFormats[i].format);
    figure.peers = rates;
    if (best != nullptr) {
      figure.peer_name = best->name;
      figure.peer_relative_error = best->error;
      figure.peer = rate(*best);
      figure.ratio = figure.ours / figure.peer;
      Means::Mean& mean = means.of[{backend.threads(), kFormats[i].format}];
      mean.sum += figure.ratio;
      ++mean.count;
    }
    print(figure);
  }
}

int run() {
  const std::vector<Peer> peers = load_peers(kernels::backend_available(BackendKind::cpu_avx512));
  constexpr int kThreads[] = {1, 2};
  std::vector<std::unique_ptr<Backend>> backends;
  for (const int threads : kThreads) {
    backends.push_back(kernels::make_backend(BackendKind::cpu, threads));
  }
  Means means;
  constexpr int kWidth = 768, kVocab = 50257;
  for (const int rows : {256, 1024}) {
    for (const Shape& shape : {Shape{rows, kWidth, 3 * kWidth, true}, Shape{rows, kWidth, kWidth, true},
                               Shape{rows, kWidth, 4 * kWidth, true}, Shape{rows, 4 * kWidth, kWidth, true},
                               Shape{rows, kWidth, kVocab, false}}) {
      Layer layer(shape);
      for (const Pass pass : kPasses) {
        const ExactSample exact(layer.gemm(pass),
                                pass == Pass::forward && shape.bias ? layer.bias.data() : nullptr);
        for (const auto& backend : backends) {
          for (const Peer& peer : peers) peer.set_threads(backend->threads());
          measure(*backend, peers, layer, pass, exact, means);
        }
      }
    }
  }
  for (const auto& backend : backends) {
    for (const FormatAim& wanted : kFormats) {
      const Means::Mean mean = means.of[{backend->threads(), wanted.format}];
      if (mean.count == 0) continue;
      const double ratio = mean.sum / mean.count;
      print({.group = "kernels",
             .name = std::string("matmul ") + kernels::format_name(wanted.format) +
                     " mean ratio threads=" + std::to_string(backend->threads()),
             .unit = "ratio",
             .ours = ratio,
             .peer = 1,
             .ratio = ratio,
             .aim = wanted.aim,
             .peer_name = "faster peer"});
    }
  }
  return 0;
}

}  // namespace
}  // namespace ufab::bench

int main() {
  return ufab::bench::run();
}
