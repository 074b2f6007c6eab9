// Exact matmul, forward and both gradients, against OpenBLAS sgemm at the shapes of GPT-2 124M: in float32,
// and in the integer formats (kernels/integer.h), whose time includes the quantisation of both operands;
// their GFLOP/s are those of the product asked for.
//
// Both run in this process, in turns; a figure is the ratio of median times. OpenBLAS is loaded at run time
// with its best core type for a processor with AVX-512 (OPENBLAS_CORETYPE is read while it loads); without
// the library the figures stand alone.
#include <dlfcn.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "kernels/backend.h"
#include "kernels/philox.h"
#include "tests/bench/kernels/support.h"

namespace ufab::bench {
namespace {

using kernels::Backend;
using kernels::BackendKind;
using kernels::MatmulFormat;

// The part of CBLAS that is used here.
struct OpenBlas {
  void (*sgemm)(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float* a,
                int lda, const float* b, int ldb, float beta, float* c, int ldc) = nullptr;
  void (*set_num_threads)(int) = nullptr;
};
constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;

OpenBlas load_openblas() {
  OpenBlas blas;
  if (kernels::backend_available(BackendKind::cpu_avx512)) setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 1);
  setenv("OPENBLAS_THREAD_TIMEOUT", "20", 1);
  void* library = dlopen("libopenblas.so.0", RTLD_NOW);
  if (library == nullptr) return blas;
  blas.sgemm = reinterpret_cast<decltype(blas.sgemm)>(dlsym(library, "cblas_sgemm"));
  blas.set_num_threads =
      reinterpret_cast<decltype(blas.set_num_threads)>(dlsym(library, "openblas_set_num_threads"));
  return blas;
}

std::vector<float> random_floats(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(kernels::philox_block(1, 0, i)[0]) * 0x1p-32F - 0.5F;
  }
  return values;
}

// Long enough for the other side's idle threads to fall asleep.
double time_after_pause(const std::function<void()>& body) {
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  return time_once(body);
}

struct Shape {
  int rows, in_width, out_width;
};
struct FormatAim {
  MatmulFormat format;
  double aim;
};
constexpr FormatAim kFormats[] = {
    {MatmulFormat::f32, 0.95}, {MatmulFormat::int12, 1.4}, {MatmulFormat::int8, 2.2}};

struct Mean {
  double sum = 0;
  int count = 0;
};

void measure(Backend& backend, const OpenBlas& blas, int threads, const Shape& shape, const FormatAim& wanted,
             Mean& mean) {
  const MatmulFormat format = wanted.format;
  const auto [m, k, n] = shape;
  const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
  const std::vector<float> in = random_floats(size(m, k)), weight = random_floats(size(n, k)),
                           dout = random_floats(size(m, n));
  std::vector<float> out(size(m, n)), din(size(m, k)), dweight(size(n, k));
  struct Pass {
    const char* name;
    std::function<void()> ours, peer;
  };
  const Pass passes[] = {
      {"forward",
       [&] { backend.matmul_forward(out.data(), in.data(), weight.data(), nullptr, m, k, n, format); },
       [&] {
         blas.sgemm(kRowMajor, kNoTranspose, kTranspose, m, n, k, 1, in.data(), k, weight.data(), k, 0,
                    out.data(), n);
       }},
      {"dinput",
       [&] { backend.matmul_backward_input(din.data(), dout.data(), weight.data(), m, k, n, format); },
       [&] {
         blas.sgemm(kRowMajor, kNoTranspose, kNoTranspose, m, k, n, 1, dout.data(), n, weight.data(), k, 0,
                    din.data(), k);
       }},
      {"dweight",
       [&] {
         backend.matmul_backward_weight(dweight.data(), in.data(), dout.data(), m, k, n, n, false, format);
       },
       [&] {
         blas.sgemm(kRowMajor, kTranspose, kNoTranspose, n, k, m, 1, dout.data(), n, in.data(), k, 0,
                    dweight.data(), k);
       }}};
  const double gflop = 2e-9 * m * k * n;
  for (const Pass& pass : passes) {
    pass.ours();  // warm both
    if (blas.sgemm != nullptr) pass.peer();
    std::vector<double> ours, peer;
    const int rounds = std::clamp(static_cast<int>(20 / gflop), 3, 21);
    for (int round = 0; round < rounds; ++round) {
      ours.push_back(time_after_pause(pass.ours));
      if (blas.sgemm != nullptr) peer.push_back(time_after_pause(pass.peer));
    }
    Figure figure{.group = "kernels",
                  .name = std::string("matmul ") + kernels::format_name(format) + " " + pass.name + " " +
                          std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) +
                          " threads=" + std::to_string(threads),
                  .unit = "GFLOP/s",
                  .ours = gflop / median(ours),
                  .peer = -1,
                  .ratio = 0,
                  .aim = wanted.aim};
    if (!peer.empty()) {
      figure.peer = gflop / median(peer);
      figure.ratio = figure.ours / figure.peer;
      mean.sum += figure.ratio;
      ++mean.count;
    }
    print(figure);
  }
}

int run() {
  const OpenBlas blas = load_openblas();
  if (blas.sgemm == nullptr) std::fprintf(stderr, "bench kernels: OpenBLAS is not installed; no ratios\n");
  for (const int threads : {1, 2}) {
    const auto backend = kernels::make_backend(BackendKind::cpu, threads);
    if (blas.set_num_threads != nullptr) blas.set_num_threads(threads);
    for (const FormatAim& wanted : kFormats) {
      Mean mean;
      for (const int rows : {256, 1024}) {
        for (const auto& [in_width, out_width] :
             {std::pair{768, 2304}, {768, 768}, {768, 3072}, {3072, 768}, {768, 50257}}) {
          measure(*backend, blas, threads, {rows, in_width, out_width}, wanted, mean);
        }
      }
      if (mean.count == 0) continue;
      const double ratio = mean.sum / mean.count;
      print({.group = "kernels",
             .name = std::string("matmul ") + kernels::format_name(wanted.format) +
                     " mean ratio threads=" + std::to_string(threads),
             .unit = "ratio",
             .ours = ratio,
             .peer = 1,
             .ratio = ratio,
             .aim = wanted.aim});
    }
  }
  return 0;
}

}  // namespace
}  // namespace ufab::bench

int main() {
  return ufab::bench::run();
}
