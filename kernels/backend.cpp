#include "kernels/backend.h"

#include <iterator>

#include "kernels/gpu/gpu_backend.h"
#include "kernels/reference/reference_backend.h"
#if defined(UFAB_KERNELS_X86)
#include "kernels/cpu/cpu_backend.h"
#endif

namespace ufab::kernels {
namespace {

struct NamedKind {
  BackendKind kind;
  const char* name;
};
constexpr NamedKind kKinds[] = {{BackendKind::reference, "reference"},
                                {BackendKind::cpu, "cpu"},
                                {BackendKind::cpu_avx2, "cpu-avx2"},
                                {BackendKind::cpu_avx512, "cpu-avx512"},
                                {BackendKind::cpu_avx512vnni, "cpu-avx512vnni"},
                                {BackendKind::gpu_host, "gpu-host"},
                                {BackendKind::cuda, "cuda"},
                                {BackendKind::hip, "hip"}};

BackendKind best_cpu_kind() {
  for (const BackendKind kind :
       {BackendKind::cpu_avx512vnni, BackendKind::cpu_avx512, BackendKind::cpu_avx2}) {
    if (backend_available(kind)) return kind;
  }
  return BackendKind::reference;
}

}  // namespace

bool backend_available(BackendKind kind) {
  switch (kind) {
    case BackendKind::reference:
    case BackendKind::cpu: return true;
#if defined(UFAB_KERNELS_X86)
    // The builtins also ask whether the operating system saves the registers.
    case BackendKind::cpu_avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case BackendKind::cpu_avx512:
      return backend_available(BackendKind::cpu_avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    case BackendKind::cpu_avx512vnni:
      return backend_available(BackendKind::cpu_avx512) && __builtin_cpu_supports("avx512vnni");
#else
    case BackendKind::cpu_avx2:
    case BackendKind::cpu_avx512:
    case BackendKind::cpu_avx512vnni: return false;
#endif
    case BackendKind::gpu_host:
    case BackendKind::cuda:
    case BackendKind::hip: return why_unavailable(kind).empty();
  }
  return false;
}

std::string why_unavailable(BackendKind kind) {
  switch (kind) {
    case BackendKind::gpu_host: return gpu::why_no_host_executor();
    case BackendKind::cuda: return gpu::why_no_cuda();
    case BackendKind::hip: return gpu::why_no_hip();
    default: break;
  }
  return backend_available(kind)
             ? std::string()
             : std::string("this processor cannot run the ").append(backend_name(kind)).append(" kernels");
}

const char* backend_name(BackendKind kind) {
  for (const NamedKind& named : kKinds) {
    if (named.kind == kind) return named.name;
  }
  return "unknown";
}

std::optional<BackendKind> backend_from_name(std::string_view name) {
  for (const NamedKind& named : kKinds) {
    if (name == named.name) return named.kind;
  }
  return std::nullopt;
}

std::string backend_names() {
  std::string names;
  for (const NamedKind& named : kKinds) {
    if (!names.empty()) names += &named == &kKinds[std::size(kKinds) - 1] ? " or " : ", ";
    names += named.name;
  }
  return names;
}

const char* format_name(MatmulFormat format) {
  switch (format) {
    case MatmulFormat::f32: return "f32";
    case MatmulFormat::int12: return "int12";
    case MatmulFormat::int8: return "int8";
    case MatmulFormat::bf16: return "bf16";
  }
  return "unknown";
}

std::optional<MatmulFormat> format_from_name(std::string_view name) {
  for (const MatmulFormat format :
       {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8, MatmulFormat::bf16}) {
    if (name == format_name(format)) return format;
  }
  return std::nullopt;
}

std::unique_ptr<Backend> make_backend(BackendKind kind, int threads, int device) {
  if (kind == BackendKind::cpu) kind = best_cpu_kind();
  if (threads < 1 || threads > kMaxThreads || !backend_available(kind)) return nullptr;
  switch (kind) {
    case BackendKind::gpu_host: return gpu::make_host_executor_backend(threads);
    case BackendKind::cuda: return gpu::make_cuda_backend(threads, device);
    case BackendKind::hip: return gpu::make_hip_backend(threads, device);
#if defined(UFAB_KERNELS_X86)
    case BackendKind::cpu_avx2:
      return make_cpu_backend(kind, avx2_kernels(), avx2_kernels().integer, avx2_kernels().bf16, threads);
    case BackendKind::cpu_avx512:
      return make_cpu_backend(kind, avx512_kernels(), avx512_kernels().integer, avx512_kernels().bf16,
                              threads);
    case BackendKind::cpu_avx512vnni:
      return make_cpu_backend(
          kind, avx512_kernels(), avx512vnni_integer_kernels(),
          __builtin_cpu_supports("avx512bf16") ? avx512bf16_kernels() : avx512_kernels().bf16, threads);
#endif
    default: return make_reference_backend(threads);
  }
}

}  // namespace ufab::kernels
