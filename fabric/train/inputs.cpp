#include "fabric/train/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace ufab {

namespace {

Result<std::unique_ptr<kernels::Backend>> make_rank_backend(const Group& group, kernels::BackendKind kind,
                                                            int threads) {
  const Group::Local local = group.local();
  if (threads <= 0) {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    threads = std::max(1, static_cast<int>(cores) / local.ranks);
  }
  if (!kernels::backend_available(kind)) {
    return Error{ErrorCode::usage, fmt::format("--backend {}: {}", kernels::backend_name(kind),
                                               kernels::why_unavailable(kind))};
  }
  auto backend = kernels::make_backend(kind, std::min(threads, kernels::kMaxThreads), local.rank);
  UFAB_ASSERT(backend != nullptr);
  return backend;
}

}  // namespace

DeviceOffer device_offer(kernels::Backend& backend) {
  const auto left = backend.device_memory_left();
  return {backend.device_groups(), left ? left->devices : 0, &backend.shared_memory()};
}

Result<RunInputs> load_inputs(const Group& group, const JobDefinition& definition, const std::string& path,
                              kernels::BackendKind kind, int threads) {
  UFAB_ASSIGN(auto backend, make_rank_backend(group, kind, threads));
  UFAB_ASSIGN(Corpus corpus, Corpus::load(path));
  const kernels::ModelConfig model = definition.model(corpus.info().vocab_size);
  if (const auto wrong = model.validate()) return Error{ErrorCode::invalid, *wrong};
  UFAB_ASSIGN(const Split split, split_corpus(definition, corpus.info().tokens));
  return RunInputs{std::move(backend), std::move(corpus), split, model};
}

}  // namespace ufab
