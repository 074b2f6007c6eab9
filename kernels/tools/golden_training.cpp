#include <algorithm>

#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/model.h"
#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {
namespace {

struct Job {
  const char* name;
  ModelConfig config;
  int batch, seq, micro_batches;
  MatmulFormat format = MatmulFormat::f32;
};
// Of each family one with more rows than the model is wide, over two tiles of keys, and one with fewer, whose
// head makes its gradient in parts (kernels/model_arena.cpp).
constexpr Job kJobs[] = {
    {"train.rows", Gpt2Shape{.vocab_size = 61, .context = 70, .layers = 2, .heads = 3, .width = 24}, 1, 66,
     2},
    {"train.parts", Gpt2Shape{.vocab_size = 205, .context = 12, .layers = 1, .heads = 3, .width = 48}, 3, 11,
     2},
    {"train.int12", Gpt2Shape{.vocab_size = 150, .context = 70, .layers = 2, .heads = 2, .width = 160}, 2, 70,
     2, MatmulFormat::int12},
    {"train.int8", Gpt2Shape{.vocab_size = 150, .context = 70, .layers = 2, .heads = 2, .width = 160}, 2, 70,
     2, MatmulFormat::int8},
    {"train.llama",
     LlamaShape{
         .vocab_size = 61, .context = 70, .layers = 2, .heads = 6, .kv_heads = 2, .width = 48, .hidden = 72},
     1, 66, 2},
    {"train.llama.parts",
     LlamaShape{.vocab_size = 205,
                .context = 12,
                .layers = 2,
                .heads = 3,
                .kv_heads = 1,
                .width = 48,
                .hidden = 50,
                .norm_epsilon = 1e-6F,
                .rope_theta = 500000,
                .tied = true},
     3, 11, 2},
    {"train.llama.int8",
     LlamaShape{.vocab_size = 150,
                .context = 70,
                .layers = 1,
                .heads = 4,
                .kv_heads = 2,
                .width = 160,
                .hidden = 200},
     2, 70, 1, MatmulFormat::int8}};

constexpr AdamWConfig kAdamW{
    .lr = 1e-2F, .beta1 = 0.9F, .beta2 = 0.99F, .eps = 1e-8F, .weight_decay = 0.1F, .clip = 1};

struct Batch {
  std::pmr::vector<std::int32_t> inputs, targets;
};
// Structure to learn: seven times of eight the next token is a function of the last.
Batch make_batch(Inputs& inputs, const Job& job) {
  Batch result;
  const int vocab = job.config.vocab_size;
  for (int b = 0; b < job.batch; ++b) {
    std::int32_t last = inputs.tokens(1, vocab)[0];
    for (int t = 0; t < job.seq; ++t) {
      const std::int32_t next = inputs.below(8) == 0 ? inputs.tokens(1, vocab)[0] : (3 * last + 1) % vocab;
      result.inputs.push_back(last);
      result.targets.push_back(next);
      last = next;
    }
  }
  return result;
}

// What a trainer does on one rank, in its few lines.
class Training {
 public:
  Training(const Job& job, Backend& backend, Inputs& inputs)
      : job_(job),
        backend_(backend),
        inputs_(inputs),
        tensors_(model_parameters(job.config)),
        model_(job.config, job.batch, job.seq, backend, job.format),
        params_(model_parameter_count(job.config)),
        m_(params_.size()),
        v_(params_.size()),
        sums_(params_.size()),
        exponents_(tensors_.size(), kFirstExponent) {
    model_init(job.config, 5, params_);
  }

  void step(Checksum& results) {
    std::vector<Batch> batches;
    batches.reserve(static_cast<std::size_t>(job_.micro_batches));
    for (int i = 0; i < job_.micro_batches; ++i) batches.push_back(make_batch(inputs_, job_));
    ++steps_;
    do add_gradients(batches, results);
    while (adjust_exponents(steps_, peaks_, exponents_));
    apply();
  }
  void add_parameters(Checksum& results) {
    backend_.wait();
    results.numbers(params_);
  }

 private:
  void add_gradients(const std::vector<Batch>& batches, Checksum& results) {
    std::fill(sums_.begin(), sums_.end(), -7);  // what the first batch overwrites
    peaks_.assign(tensors_.size(), 0);
    for (const Batch& batch : batches) {
      results.number(model_.forward_backward(
          params_, batch.inputs, batch.targets,
          [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
            const std::size_t at = tensors_[tensor].offset + first;
            const auto result =
                quantize_add(backend_, gradient, exponents_[tensor], at,
                             std::span(sums_).subspan(at, gradient.size()), &batch == &batches.front());
            peaks_[tensor] += result.peak;
          }));
    }
  }
  void apply() {
    const double norm = gradient_norm(backend_, tensors_, sums_, exponents_, job_.micro_batches);
    const float scale = gradient_clip_scale(norm, kAdamW.clip);
    for (std::size_t t = 0; t < tensors_.size(); ++t) {
      const auto part = [&](auto& values) {
        return std::span(values).subspan(tensors_[t].offset, tensors_[t].count);
      };
      adamw_step(backend_, kAdamW, steps_, exponents_[t], job_.micro_batches, scale, tensors_[t].decay,
                 part(sums_), part(params_), part(m_), part(v_));
      exponents_[t] = next_exponent(exponents_[t], peaks_[t]);
    }
  }

  const Job& job_;
  Backend& backend_;
  Inputs& inputs_;
  std::vector<ParameterTensor> tensors_;
  Model model_;
  std::pmr::vector<float> params_, m_, v_;
  std::pmr::vector<std::int32_t> sums_;
  std::vector<int> exponents_;
  std::vector<std::uint64_t> peaks_;
  std::uint64_t steps_ = 0;
};

// The losses of all steps, then the parameters after the last.
void run_training(const Job& job, int steps, Backend& backend, Checksum& results) {
  Inputs inputs(job.name, "");  // the same batches however many steps
  Training training(job, backend, inputs);
  for (int step = 0; step < steps; ++step) training.step(results);
  training.add_parameters(results);
}

}  // namespace

void add_training_cases(GoldenCases& cases) {
  for (const Job& job : kJobs) {
    for (const int steps : {0, 1, 5, 20}) {
      const ModelConfig& c = job.config;
      const std::string shape =
          c.family == ModelFamily::gpt2
              ? shape_text({c.vocab_size, c.context, c.layers, c.heads, c.width, job.batch, job.seq})
              : shape_text({c.vocab_size, c.context, c.layers, c.heads, c.kv_heads, c.width, c.hidden,
                            job.batch, job.seq});
      const std::string name = std::string(job.name) + ".step" + std::to_string(steps);
      cases.push_back({name, shape, [&job, steps](Backend& backend, Inputs&, Checksum& results) {
                         run_training(job, steps, backend, results);
                       }});
    }
  }
}

}  // namespace ufab::kernels
