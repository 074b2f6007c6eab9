// Products in bfloat16 by NVIDIA's cuBLASLt, where this machine has it. It is looked for when somebody
// first asks for such a product, and is no part of the plug-in: whatever does not succeed leaves the product
// to the kernel of kernels/gpu/packed_matmul.h.
//
// The library chooses by the shape how it splits a sum: the same product has the same bits every time, but a
// row's bits may depend on how many rows are computed with it.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <tuple>

namespace ufab::kernels::gpu_cuda {

// c(i, j) = bias[j], 0 or what is there, + the sum over k of a(i, k) * b(j, k); a [rows][depth] and b
// [columns][depth] are bfloat16, row-major, c is binary32 with rows c_row apart.
struct LibraryProduct {
  float* c;
  std::ptrdiff_t c_row;
  const void *a, *b;
  const float* bias;
  int rows, columns, depth;
  bool accumulate;
};

class CublasLt {
 public:
  CublasLt() {
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}) {
      library_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library_ != nullptr) break;
    }
    if (library_ == nullptr) return;
    const bool found =
        find(create_, "cublasLtCreate") && find(destroy_, "cublasLtDestroy") &&
        find(matmul_, "cublasLtMatmul") && find(heuristic_, "cublasLtMatmulAlgoGetHeuristic") &&
        find(desc_create_, "cublasLtMatmulDescCreate") && find(desc_destroy_, "cublasLtMatmulDescDestroy") &&
        find(desc_set_, "cublasLtMatmulDescSetAttribute") &&
        find(layout_create_, "cublasLtMatrixLayoutCreate") &&
        find(layout_destroy_, "cublasLtMatrixLayoutDestroy") &&
        find(preference_create_, "cublasLtMatmulPreferenceCreate") &&
        find(preference_destroy_, "cublasLtMatmulPreferenceDestroy") &&
        find(preference_set_, "cublasLtMatmulPreferenceSetAttribute");
    if (!found || !good(create_(&handle_))) handle_ = nullptr;
    if (handle_ != nullptr && cudaMalloc(&workspace_, kWorkspace) != cudaSuccess) {
      workspace_ = nullptr;
      close();
    }
    forget_errors();
  }
  ~CublasLt() { close(); }
  CublasLt(const CublasLt&) = delete;
  CublasLt& operator=(const CublasLt&) = delete;

  [[nodiscard]] std::size_t scratch_bytes() const { return handle_ != nullptr ? kWorkspace : 0; }

  // False: nothing was started.
  bool multiply(const LibraryProduct& m, cudaStream_t stream) {
    // Where rows of c are not multiples of 16 bytes apart the library falls back to kernels that take several
    // times as long (3.3 ms for 4,096 x 50,257 x 768 on an H200).
    if (handle_ == nullptr || m.c_row % 4 != 0 || alignment(m.c) < 16) return false;
    const Key key{m.rows,      m.columns,      m.depth,
                  m.c_row,     alignment(m.c), m.bias == nullptr ? 0 : alignment(m.bias),
                  m.accumulate};
    auto at = plans_.find(key);
    if (at == plans_.end()) {
      at = plans_.emplace(key, Plan{}).first;
      at->second.usable = prepare(at->second, m);
    }
    Plan& plan = at->second;
    if (!plan.usable) return false;
    const float one = 1, beta = m.accumulate ? 1 : 0;
    plan.usable = set_bias(plan, m.bias) &&
                  good(matmul_(handle_, plan.desc, &one, m.b, plan.b, m.a, plan.a, &beta, m.c, plan.c, m.c,
                               plan.c, &plan.algorithm, workspace_, kWorkspace, stream));
    if (!plan.usable) forget_errors();
    return plan.usable;
  }

 private:
  static constexpr std::size_t kWorkspace = std::size_t{32} << 20;  // what NVIDIA advises for Hopper

  using Key = std::tuple<int, int, int, std::ptrdiff_t, std::uint32_t, std::uint32_t, bool>;
  struct Plan {
    bool usable = false;
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
    cublasLtMatmulAlgo_t algorithm = {};
  };

  static bool good(cublasStatus_t status) { return status == CUBLAS_STATUS_SUCCESS; }
  // What the library's calls may have left would be found at the next kernel's start.
  static void forget_errors() { static_cast<void>(cudaGetLastError()); }
  static std::uint32_t alignment(const void* p) {
    std::uint32_t bytes = 256;
    while (reinterpret_cast<std::uintptr_t>(p) % bytes != 0) bytes /= 2;
    return bytes;
  }
  template <class Function>
  bool find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library_, name));
    return function != nullptr;
  }
  bool set_bias(const Plan& plan, const float* bias) const {
    return bias == nullptr ||
           good(desc_set_(plan.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias));
  }

  // The library's matrices are column-major: ours is its transpose, columns x rows, = transposed b * a.
  bool prepare(Plan& plan, const LibraryProduct& m) const {
    const auto rows = static_cast<std::uint64_t>(m.rows), columns = static_cast<std::uint64_t>(m.columns),
               depth = static_cast<std::uint64_t>(m.depth);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    const cublasLtEpilogue_t with_bias = CUBLASLT_EPILOGUE_BIAS;
    if (!good(desc_create_(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F)) ||
        !good(desc_set_(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed)) ||
        !good(layout_create_(&plan.b, CUDA_R_16BF, depth, columns, m.depth)) ||
        !good(layout_create_(&plan.a, CUDA_R_16BF, depth, rows, m.depth)) ||
        !good(layout_create_(&plan.c, CUDA_R_32F, columns, rows, m.c_row))) {
      return false;
    }
    if (m.bias != nullptr &&
        !(good(desc_set_(plan.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &with_bias, sizeof with_bias)) &&
          set_bias(plan, m.bias))) {
      return false;
    }
    cublasLtMatmulPreference_t preference = nullptr;
    if (!good(preference_create_(&preference))) return false;
    const std::size_t workspace = kWorkspace;
    const std::uint32_t of_a = alignment(m.a), of_b = alignment(m.b), of_c = alignment(m.c);
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, const auto& value) {
      return good(preference_set_(preference, what, &value, sizeof value));
    };
    cublasLtMatmulHeuristicResult_t result = {};
    int found = 0;
    const bool usable = prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace) &&
                        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, of_b) &&
                        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, of_a) &&
                        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, of_c) &&
                        prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, of_c) &&
                        good(heuristic_(handle_, plan.desc, plan.b, plan.a, plan.c, plan.c, preference, 1,
                                        &result, &found)) &&
                        found == 1 && good(result.state) && result.workspaceSize <= kWorkspace;
    static_cast<void>(preference_destroy_(preference));
    plan.algorithm = result.algo;
    if (!usable) forget_errors();
    return usable;
  }

  void close() {
    for (auto& [key, plan] : plans_) {
      if (plan.desc != nullptr) static_cast<void>(desc_destroy_(plan.desc));
      for (cublasLtMatrixLayout_t layout : {plan.a, plan.b, plan.c}) {
        if (layout != nullptr) static_cast<void>(layout_destroy_(layout));
      }
    }
    plans_.clear();
    if (workspace_ != nullptr) static_cast<void>(cudaFree(workspace_));
    workspace_ = nullptr;
    if (handle_ != nullptr) static_cast<void>(destroy_(handle_));
    handle_ = nullptr;
    // The library stays loaded to the end of the program: it does not like to be unloaded.
  }

  void* library_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  void* workspace_ = nullptr;
  std::map<Key, Plan> plans_;
  decltype(&cublasLtCreate) create_ = nullptr;
  decltype(&cublasLtDestroy) destroy_ = nullptr;
  decltype(&cublasLtMatmul) matmul_ = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic_ = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create_ = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy_ = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set_ = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create_ = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy_ = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create_ = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy_ = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set_ = nullptr;
};

}  // namespace ufab::kernels::gpu_cuda
