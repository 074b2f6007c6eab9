// kernels-bench-gpu: what the operators and a whole training step cost on a GPU. Needs nothing but kernels/.
//
// Matrix products, quantisation and packing included, at GPT-2 124M's shapes; operators bound by memory as a
// share of the bandwidth of a copy measured in the same run, counting each byte that must move once; steps of
// training (forward, backward, integer sums, norm, AdamW; data stays on the device) against the tokens/s that
// --peer gives, the exact one in int8 against the fast one too. Medians of --repeats, each long enough for
// the clock.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/gradient.h"
#include "kernels/model.h"
#include "kernels/philox.h"

namespace ufab::kernels {
namespace {

constexpr double kShareOfCopy = 0.85;  // what an operator bound by memory should reach
constexpr double kFastAim = 1.1;       // of a fast step, of the peer's tokens/s
constexpr double kExactAim = 0.9;      // of an exact step in int8, of the fast step's tokens/s
constexpr double kFastError = 1e-2;    // of bfloat16 results relative to binary32's: above it they are wrong

// bf16 first: int8 is held against it.
constexpr MatmulFormat kFormats[] = {MatmulFormat::bf16, MatmulFormat::f32, MatmulFormat::int12,
                                     MatmulFormat::int8};

struct Options {
  std::optional<BackendKind> backend;  // none: the first device that this machine has
  int batch = 8, seq = 1024, repeats = 5;
  double seconds = 0.05;               // of one repeat
  double peer = 0;                     // tokens/s of the peer's step, 0: unknown
  std::string only;                    // a group; empty: all
  std::optional<MatmulFormat> format;  // of products and steps; none: all
  bool json = false;
};

class Bench {
 public:
  Bench(const Options& options, Backend& backend) : options_(options), backend_(backend) {}

  // Seconds of one call: the median of some repeats.
  double time(const std::function<void()>& call) {
    call();
    backend_.wait();
    int calls = 1;
    std::vector<double> each;
    while (static_cast<int>(each.size()) < options_.repeats) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < calls; ++i) call();
      backend_.wait();
      const double passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (passed < options_.seconds && calls < (1 << 20)) {
        calls *= 2;
        continue;
      }
      each.push_back(passed / calls);
    }
    std::sort(each.begin(), each.end());
    return each[each.size() / 2];
  }

  // peer <= 0: none. aim 0: none.
  void report(const std::string& name, double ours, const char* unit, double peer = 0, double aim = 0) {
    const double ratio = peer > 0 ? ours / peer : 0;
    if (options_.json) {
      const auto number = [](double value) {
        return value > 0 ? std::to_string(value) : std::string("null");
      };
      std::printf(
          "{\"group\":\"gpu\",\"name\":\"%s\",\"ours\":%f,\"peer\":%s,\"unit\":\"%s\",\"ratio\":%s,"
          "\"aim\":%s,\"met\":%s}\n",
          name.c_str(), ours, number(peer).c_str(), unit, number(ratio).c_str(), number(aim).c_str(),
          peer > 0 && aim > 0 ? (ratio >= aim ? "true" : "false") : "null");
    } else {
      std::printf("%-52s %10.4g %-9s", name.c_str(), ours, unit);
      if (peer > 0) std::printf(" %6.3f of %.4g", ratio, peer);
      if (peer > 0 && aim > 0) std::printf(", aim %.2f %s", aim, ratio >= aim ? "met" : "FALLS SHORT");
      std::printf("\n");
    }
    std::fflush(stdout);
  }

  // Vectors of the backend's memory: a copy of one would lie elsewhere.
  std::pmr::vector<float> floats(std::size_t count, float scale = 1) {
    std::pmr::vector<float> values(count, &backend_.shared_memory());
    for (std::size_t i = 0; i < count; i += 4) {
      const PhiloxCounter words = philox_block(1, 0, i);
      for (std::size_t j = 0; j < 4 && i + j < count; ++j) {
        values[i + j] = scale * static_cast<float>(static_cast<std::int32_t>(words[j])) * 0x1p-31F;
      }
    }
    return values;
  }

  void accuracy();
  void products();
  void memory_bound();
  void attention();
  void steps();
  [[nodiscard]] bool wrong() const { return wrong_; }

 private:
  // The relative error of values in bfloat16.
  void compare(const std::string& name, std::span<const float> fast, std::span<const float> exact);
  [[nodiscard]] int rows() const { return options_.batch * options_.seq; }
  [[nodiscard]] bool wanted(MatmulFormat format) const {
    return !options_.format || *options_.format == format;
  }
  const Options& options_;
  Backend& backend_;
  bool wrong_ = false;
};

constexpr int kWidth = 768, kHeads = 12, kVocab = 50257;

void Bench::compare(const std::string& name, std::span<const float> fast, std::span<const float> exact) {
  backend_.wait();
  double squares = 0, differences = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double x = static_cast<double>(exact[i]), d = static_cast<double>(fast[i]) - x;
    squares += x * x;
    differences += d * d;
  }
  const double error = std::sqrt(differences / squares);
  wrong_ = wrong_ || !(error < kFastError);
  report("error of bf16, " + name, error, "relative");
}

// Shapes with edges; and a head, whose rows of results lie at odd places.
void Bench::accuracy() {
  const auto other = [&](const auto& values) { return floats(values.size()); };
  for (const auto& [name, count, in_width, out_width] :
       {std::tuple{"product", 1000, kWidth, 3 * kWidth}, std::tuple{"head", 300, kWidth, kVocab}}) {
    const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
    const auto in = floats(size(count, in_width)), weight = floats(size(out_width, in_width));
    auto out = floats(size(count, out_width)), out_exact = other(out), din = other(in), din_exact = other(in),
         dweight = other(weight), dweight_exact = other(weight);
    const auto dout = other(out);
    const auto pass = [&](auto& y, auto& dx, auto& dw, MatmulFormat format) {
      backend_.matmul_forward(y.data(), in.data(), weight.data(), nullptr, count, in_width, out_width,
                              format);
      backend_.matmul_backward_input(dx.data(), dout.data(), weight.data(), count, in_width, out_width,
                                     format);
      backend_.matmul_backward_weight(dw.data(), in.data(), dout.data(), count, in_width, out_width,
                                      out_width, false, format);
    };
    pass(out, din, dweight, MatmulFormat::bf16);
    pass(out_exact, din_exact, dweight_exact, MatmulFormat::f32);
    compare(std::string(name) + ", forward", out, out_exact);
    compare(std::string(name) + ", input gradient", din, din_exact);
    compare(std::string(name) + ", weight gradient", dweight, dweight_exact);
  }
  constexpr int kBatch = 2, kSeq = 300, kKvHeads = 4, kHead = kWidth / kHeads;
  const std::size_t heads = static_cast<std::size_t>(kBatch * kSeq) * kWidth;
  const auto qkv = floats(heads + heads * 2 * kKvHeads / kHeads, 3), dout = floats(heads);
  auto out = floats(heads), out_exact = floats(heads), dqkv = other(qkv), dqkv_exact = other(qkv);
  auto logsumexp = floats(static_cast<std::size_t>(kBatch * kSeq) * kHeads);
  const auto pass = [&](auto& y, auto& dx, MatmulFormat format) {
    backend_.attention_forward(y.data(), logsumexp.data(), qkv.data(), kBatch, kSeq, kHeads, kKvHeads, kHead,
                               format);
    backend_.attention_backward(dx.data(), dout.data(), y.data(), logsumexp.data(), qkv.data(), kBatch, kSeq,
                                kHeads, kKvHeads, kHead, format);
  };
  pass(out, dqkv, MatmulFormat::bf16);
  pass(out_exact, dqkv_exact, MatmulFormat::f32);
  compare("attention, forward", out, out_exact);
  compare("attention, backward", dqkv, dqkv_exact);
}

void Bench::products() {
  struct Layer {
    const char* name;
    int in, out;
  };
  for (const Layer& layer : {Layer{"qkv", kWidth, 3 * kWidth}, Layer{"attention out", kWidth, kWidth},
                             Layer{"mlp in", kWidth, 4 * kWidth}, Layer{"mlp out", 4 * kWidth, kWidth}}) {
    const auto in = floats(static_cast<std::size_t>(rows()) * static_cast<std::size_t>(layer.in));
    const auto weight = floats(static_cast<std::size_t>(layer.out) * static_cast<std::size_t>(layer.in));
    auto out = floats(static_cast<std::size_t>(rows()) * static_cast<std::size_t>(layer.out));
    auto din = floats(in.size());
    auto dweight = floats(weight.size());
    const double work = 2.0 * rows() * layer.in * layer.out;
    for (const MatmulFormat format : kFormats) {
      if (!wanted(format)) continue;
      const auto rate = [&](const char* pass, const std::function<void()>& call) {
        report(std::string(format_name(format)).append(" ").append(layer.name).append(", ").append(pass),
               work / time(call) / 1e12, "Top/s");
      };
      rate("forward", [&] {
        backend_.matmul_forward(out.data(), in.data(), weight.data(), nullptr, rows(), layer.in, layer.out,
                                format);
      });
      rate("input gradient", [&] {
        backend_.matmul_backward_input(din.data(), out.data(), weight.data(), rows(), layer.in, layer.out,
                                       format);
      });
      rate("weight gradient", [&] {
        backend_.matmul_backward_weight(dweight.data(), in.data(), out.data(), rows(), layer.in, layer.out,
                                        layer.out, false, format);
      });
    }
  }
}

void Bench::memory_bound() {
  const std::size_t count = static_cast<std::size_t>(rows()) * kWidth, wide = 4 * count;
  auto a = floats(wide), b = floats(wide), c = floats(wide);
  const double copied =
      8.0 * static_cast<double>(wide) / time([&] { backend_.copy(b.data(), a.data(), wide); });
  report("copy", copied / 1e9, "GB/s");
  // bytes_each: of each of `count` elements, that must be read or written.
  const auto share = [&](const char* name, double bytes, const std::function<void()>& call) {
    report(name, bytes / time(call) / 1e9, "GB/s", copied / 1e9, kShareOfCopy);
  };
  const auto n = static_cast<double>(count), w = static_cast<double>(wide);
  share("residual", 12 * w, [&] { backend_.residual_forward(c.data(), a.data(), b.data(), wide); });
  share("gelu, forward", 8 * w, [&] { backend_.gelu_forward(c.data(), a.data(), wide); });
  share("gelu, backward", 12 * w, [&] { backend_.gelu_backward(c.data(), b.data(), a.data(), wide); });
  const int hidden = 2 * kWidth;
  share("swiglu, forward", 6 * w, [&] { backend_.swiglu_forward(c.data(), a.data(), rows(), hidden); });
  share("swiglu, backward", 10 * w,
        [&] { backend_.swiglu_backward(c.data(), b.data(), a.data(), rows(), hidden); });

  const auto gamma = floats(kWidth), beta = floats(kWidth);
  auto mean = floats(static_cast<std::size_t>(rows())), rstd = floats(mean.size());
  share("layer norm, forward", 8 * n, [&] {
    backend_.layernorm_forward(c.data(), mean.data(), rstd.data(), a.data(), gamma.data(), beta.data(),
                               rows(), kWidth);
  });
  share("layer norm, input gradient", 16 * n, [&] {
    backend_.layernorm_backward_input(c.data(), b.data(), a.data(), gamma.data(), mean.data(), rstd.data(),
                                      rows(), kWidth);
  });
  auto dgamma = floats(kWidth), dbeta = floats(4 * kWidth);
  // dy is read for each of the two.
  share("layer norm, gradients of parameters", 12 * n, [&] {
    backend_.layernorm_backward_parameters(dgamma.data(), dbeta.data(), b.data(), a.data(), mean.data(),
                                           rstd.data(), rows(), kWidth);
  });
  share("rms norm, forward", 8 * n, [&] {
    backend_.rmsnorm_forward(c.data(), rstd.data(), a.data(), gamma.data(), 1e-5F, rows(), kWidth);
  });
  share("bias gradient", 4 * w, [&] { backend_.bias_backward(dbeta.data(), a.data(), rows(), 4 * kWidth); });

  const int some = 1024;
  auto logits = floats(std::size_t{some} * kVocab, 5), losses = floats(some);
  std::pmr::vector<std::int32_t> targets(some, 7, &backend_.shared_memory());
  share("softmax and loss with gradient", 8.0 * some * kVocab, [&] {
    backend_.softmax_cross_entropy(losses.data(), logits.data(), targets.data(), some, kVocab, some, true);
  });
  const auto wte = floats(std::size_t{kVocab} * kWidth);
  std::pmr::vector<std::int32_t> tokens(static_cast<std::size_t>(rows()), &backend_.shared_memory());
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::int32_t>(i * 7919 % kVocab);
  share("embedding, forward", 12 * n, [&] {
    backend_.embedding_forward(c.data(), wte.data(), wte.data(), tokens.data(), options_.batch, options_.seq,
                               kWidth);
  });

  std::pmr::vector<std::int32_t> sums(wide, &backend_.shared_memory());
  std::pmr::vector<QuantizeResult> result(1, &backend_.shared_memory());
  share("integer sums of gradients", 12 * w,
        [&] { backend_.quantize_add(result.data(), sums.data(), a.data(), wide, -20, 0, false); });
  std::pmr::vector<double> squares(1, &backend_.shared_memory());
  share("norm of the gradient", 4 * w, [&] { backend_.sum_of_squares(squares.data(), sums.data(), wide); });
  const AdamWScalars scalars{1e-6F, 0.9F, 0.1F, 0.95F, 0.05F, 1, 1, 1e-4F, 1e-8F, 0.1F};
  std::fill(c.begin(), c.end(), 0.0F);  // second moments
  share("AdamW", 28 * w, [&] { backend_.adamw(a.data(), b.data(), c.data(), sums.data(), wide, scalars); });
}

void Bench::attention() {
  const std::size_t count = static_cast<std::size_t>(rows()) * kWidth;
  const auto qkv = floats(3 * count);
  auto out = floats(count), dqkv = floats(3 * count);
  auto logsumexp = floats(static_cast<std::size_t>(rows()) * kHeads);
  const auto dout = floats(count);
  // The causal half of queries with keys and probabilities with values.
  const double work = 2.0 * rows() * options_.seq * kWidth;
  const int width = kWidth / kHeads;
  for (const MatmulFormat format : {MatmulFormat::bf16, MatmulFormat::f32}) {
    const std::string name = is_exact(format) ? "attention, " : "attention, fast bf16, ";
    report(name + "forward", work / 1e12 / time([&] {
                               backend_.attention_forward(out.data(), logsumexp.data(), qkv.data(),
                                                          options_.batch, options_.seq, kHeads, kHeads, width,
                                                          format);
                             }),
           "Top/s");
    report(name + "backward", 2.5 * work / 1e12 / time([&] {
                                backend_.attention_backward(dqkv.data(), dout.data(), out.data(),
                                                            logsumexp.data(), qkv.data(), options_.batch,
                                                            options_.seq, kHeads, kHeads, width, format);
                              }),
           "Top/s");
  }
}

void Bench::steps() {
  const ModelConfig config = Gpt2Shape{kVocab, std::max(options_.seq, 1024), 12, kHeads, kWidth};
  const auto tensors = model_parameters(config);
  const std::size_t count = model_parameter_count(config);
  std::vector<std::int32_t> inputs(static_cast<std::size_t>(rows())), targets = inputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = static_cast<std::int32_t>(i * 7919 % kVocab);
    targets[i] = static_cast<std::int32_t>((i + 1) * 7919 % kVocab);
  }
  double fast = 0;  // tokens/s
  for (const MatmulFormat format : kFormats) {
    if (!wanted(format)) continue;
    std::pmr::memory_resource& shared = backend_.shared_memory();
    std::pmr::vector<float> params(count, &shared), m(count, &shared), v(count, &shared);
    std::pmr::vector<std::int32_t> sums(count, &shared);
    std::pmr::vector<QuantizeResult> results(tensors.size(), &shared);
    model_init(config, 1, params);
    Model model(config, options_.batch, options_.seq, backend_, format);
    std::vector<int> exponents(tensors.size(), kFirstExponent);
    std::uint64_t step = 0;
    const double seconds = time([&] {
      static_cast<void>(
          model.forward_backward(params, inputs, targets,
                                 [&](std::size_t tensor, std::size_t first, std::span<const float> gradient) {
                                   const std::size_t at = tensors[tensor].offset + first;
                                   backend_.quantize_add(&results[tensor], &sums[at], gradient.data(),
                                                         gradient.size(), exponents[tensor], at, true);
                                 }));
      ++step;
      const float clip = gradient_clip_scale(gradient_norm(backend_, tensors, sums, exponents, 1), 1.0F);
      for (std::size_t t = 0; t < tensors.size(); ++t) {
        const auto part = [&](auto& values) {
          return std::span(values).subspan(tensors[t].offset, tensors[t].count);
        };
        adamw_step(backend_, {}, step, exponents[t], 1, clip, tensors[t].decay, part(sums), part(params),
                   part(m), part(v));
      }
    });
    const double rate = rows() / seconds;
    const std::string name = std::string(is_exact(format) ? "training step, exact " : "training step, fast ")
                                 .append(format_name(format));
    if (format == MatmulFormat::bf16) fast = rate;
    report(name, rate, "tokens/s", options_.peer, format == MatmulFormat::bf16 ? kFastAim : 0);
    if (format == MatmulFormat::int8) report(name + ", of the fast step", rate, "tokens/s", fast, kExactAim);
  }
}

int usage() {
  std::fprintf(
      stderr,
      "usage: kernels-bench-gpu [--backend cuda|hip|gpu-host] [--batch N] [--seq N] [--repeats N]\n"
      "  [--seconds S] [--peer TOKENS_PER_SECOND] [--only accuracy|memory|products|attention|steps]\n"
      "  [--format f32|int12|int8|bf16] [--json]\n");
  return 2;
}

int run(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--json") {
      options.json = true;
      continue;
    }
    if (++i == argc) return usage();
    if (name == "--backend") {
      options.backend = backend_from_name(argv[i]);
      if (!options.backend) return usage();
    } else if (name == "--format") {
      options.format = format_from_name(argv[i]);
      if (!options.format) return usage();
    } else if (name == "--only") {
      options.only = argv[i];
    } else if (name == "--seconds" || name == "--peer") {
      (name == "--peer" ? options.peer : options.seconds) = std::atof(argv[i]);
    } else if (name == "--batch" || name == "--seq" || name == "--repeats") {
      const int value = std::atoi(argv[i]);
      if (value < 1 || value > 1024) return usage();
      (name == "--batch" ? options.batch : name == "--seq" ? options.seq : options.repeats) = value;
    } else {
      return usage();
    }
  }
  std::unique_ptr<Backend> backend;
  for (const BackendKind kind :
       options.backend ? std::vector{*options.backend} : std::vector{BackendKind::cuda, BackendKind::hip}) {
    backend = make_backend(kind, 1);
    if (backend != nullptr) break;
    std::fprintf(stderr, "kernels-bench-gpu: %s\n", why_unavailable(kind).c_str());
  }
  if (backend == nullptr) return 77;
  Bench bench(options, *backend);
  bool known = false;
  const auto group = [&](const char* name, void (Bench::*measure)()) {
    if (!options.only.empty() && options.only != name) return;
    known = true;
    (bench.*measure)();
  };
  group("accuracy", &Bench::accuracy);
  group("memory", &Bench::memory_bound);
  group("products", &Bench::products);
  group("attention", &Bench::attention);
  group("steps", &Bench::steps);
  return !known ? usage() : bench.wrong() ? 1 : 0;
}

}  // namespace
}  // namespace ufab::kernels

int main(int argc, char** argv) {
  return ufab::kernels::run(argc, argv);
}
