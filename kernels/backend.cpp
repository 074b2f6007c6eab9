#include "kernels/backend.h"

#include "kernels/reference/reference_backend.h"
#if defined(UFAB_KERNELS_X86)
#include "kernels/cpu/cpu_backend.h"
#endif

namespace ufab::kernels {
namespace {

constexpr BackendKind kAllKinds[] = {BackendKind::automatic, BackendKind::reference, BackendKind::avx2,
                                     BackendKind::avx512, BackendKind::avx512vnni};

BackendKind best_kind() {
  if (backend_available(BackendKind::avx512vnni)) return BackendKind::avx512vnni;
  if (backend_available(BackendKind::avx512)) return BackendKind::avx512;
  if (backend_available(BackendKind::avx2)) return BackendKind::avx2;
  return BackendKind::reference;
}

}  // namespace

bool backend_available(BackendKind kind) {
  switch (kind) {
    case BackendKind::automatic:
    case BackendKind::reference: return true;
#if defined(UFAB_KERNELS_X86)
    // The builtins also ask whether the operating system saves the registers.
    case BackendKind::avx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case BackendKind::avx512:
      return backend_available(BackendKind::avx2) && __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    case BackendKind::avx512vnni:
      return backend_available(BackendKind::avx512) && __builtin_cpu_supports("avx512vnni");
#else
    case BackendKind::avx2:
    case BackendKind::avx512:
    case BackendKind::avx512vnni: return false;
#endif
  }
  return false;
}

const char* backend_name(BackendKind kind) {
  switch (kind) {
    case BackendKind::automatic: return "automatic";
    case BackendKind::reference: return "reference";
    case BackendKind::avx2: return "avx2";
    case BackendKind::avx512: return "avx512";
    case BackendKind::avx512vnni: return "avx512vnni";
  }
  return "unknown";
}

std::optional<BackendKind> backend_from_name(std::string_view name) {
  for (const BackendKind kind : kAllKinds) {
    if (name == backend_name(kind)) return kind;
  }
  return std::nullopt;
}

const char* format_name(MatmulFormat format) {
  switch (format) {
    case MatmulFormat::f32: return "f32";
    case MatmulFormat::int12: return "int12";
    case MatmulFormat::int8: return "int8";
  }
  return "unknown";
}

std::optional<MatmulFormat> format_from_name(std::string_view name) {
  for (const MatmulFormat format : {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8}) {
    if (name == format_name(format)) return format;
  }
  return std::nullopt;
}

std::unique_ptr<Backend> make_backend(BackendKind kind, int threads) {
  if (kind == BackendKind::automatic) kind = best_kind();
  if (threads < 1 || threads > kMaxThreads || !backend_available(kind)) return nullptr;
#if defined(UFAB_KERNELS_X86)
  if (kind == BackendKind::avx2) {
    return make_cpu_backend(kind, avx2_kernels(), avx2_kernels().integer, threads);
  }
  if (kind == BackendKind::avx512) {
    return make_cpu_backend(kind, avx512_kernels(), avx512_kernels().integer, threads);
  }
  if (kind == BackendKind::avx512vnni) {
    return make_cpu_backend(kind, avx512_kernels(), avx512vnni_integer_kernels(), threads);
  }
#endif
  return make_reference_backend(threads);
}

}  // namespace ufab::kernels
