// The peers of the matmul bench: sgemm of OpenBLAS and of oneDNN, each loaded at run time, so that what it
// reads from the environment can be set first and a library that is not installed is left out.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace ufab::bench {

// c [m][n] = op(a) [m][k] * op(b) [k][n], row-major; a transposed operand is stored as [k][m] or [n][k].
struct Gemm {
  bool transpose_a, transpose_b;
  int m, n, k;
  const float* a;
  int lda;
  const float* b;
  int ldb;
  float* c;
  int ldc;
};

struct Peer {
  std::string name;
  std::function<void(const Gemm&)> sgemm;
  std::function<void(int)> set_threads;
};

template <class Function>
Function* library_function(void* library, const char* name) {
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library, name));
}

inline void add_openblas(std::vector<Peer>& peers, bool avx512) {
  // Its best core type for a processor with AVX-512, whoever made it; and threads that sleep soon when idle.
  if (avx512) setenv("OPENBLAS_CORETYPE", "SKYLAKEX", 1);
  setenv("OPENBLAS_THREAD_TIMEOUT", "20", 1);
  using Sgemm = void(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                     const float* a, int lda, const float* b, int ldb, float beta, float* c, int ldc);
  void* library = dlopen("libopenblas.so.0", RTLD_NOW);
  auto* sgemm = library_function<Sgemm>(library, "cblas_sgemm");
  auto* set_threads = library_function<void(int)>(library, "openblas_set_num_threads");
  if (sgemm == nullptr || set_threads == nullptr) {
    std::fprintf(stderr, "bench kernels: OpenBLAS is not installed; left out\n");
    return;
  }
  constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;
  const auto multiply = [sgemm](const Gemm& g) {
    sgemm(kRowMajor, g.transpose_a ? kTranspose : kNoTranspose, g.transpose_b ? kTranspose : kNoTranspose,
          g.m, g.n, g.k, 1, g.a, g.lda, g.b, g.ldb, 0, g.c, g.ldc);
  };
  peers.push_back({"OpenBLAS", multiply, set_threads});
}

inline void add_onednn(std::vector<Peer>& peers) {
  setenv("GOMP_SPINCOUNT", "10000", 1);  // as above: its OpenMP threads would spin into the others' turns
  using Sgemm = int(char transpose_a, char transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                    float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb,
                    float beta, float* c, std::int64_t ldc);
  auto* sgemm = library_function<Sgemm>(dlopen("libdnnl.so.2", RTLD_NOW), "dnnl_sgemm");
  auto* set_threads = library_function<void(int)>(dlopen("libgomp.so.1", RTLD_NOW), "omp_set_num_threads");
  if (sgemm == nullptr || set_threads == nullptr) {
    std::fprintf(stderr, "bench kernels: oneDNN is not installed; left out\n");
    return;
  }
  const auto multiply = [sgemm](const Gemm& g) {
    sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', g.m, g.n, g.k, 1, g.a, g.lda, g.b, g.ldb, 0,
          g.c, g.ldc);
  };
  peers.push_back({"oneDNN", multiply, set_threads});
}

inline std::vector<Peer> load_peers(bool avx512) {
  std::vector<Peer> peers;
  add_openblas(peers, avx512);
  add_onednn(peers);
  return peers;
}

}  // namespace ufab::bench
