// The peer of bench_train: GPT-2 124M trained by libtorch on the CPU, the same model, batch and optimizer.
// Prints the seconds of each step, one a line; the first ones are warm-up.
//   bench_train_torch THREADS STEPS BATCH SEQ keep|return
// keep: the heap keeps the memory of freed tensors, so that no step waits for new pages; return: it gives
// large tensors back, as it does unless told otherwise, which is slower but takes less memory.
#include <malloc.h>
#include <torch/torch.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int64_t kVocab = 50257, kContext = 1024, kLayers = 12, kHeads = 12, kWidth = 768;

struct BlockImpl : torch::nn::Module {
  torch::nn::LayerNorm ln1{nullptr}, ln2{nullptr};
  torch::nn::Linear qkv{nullptr}, proj{nullptr}, fc{nullptr}, out{nullptr};

  BlockImpl() {
    ln1 = register_module("ln1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kWidth})));
    ln2 = register_module("ln2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kWidth})));
    qkv = register_module("qkv", torch::nn::Linear(kWidth, 3 * kWidth));
    proj = register_module("proj", torch::nn::Linear(kWidth, kWidth));
    fc = register_module("fc", torch::nn::Linear(kWidth, 4 * kWidth));
    out = register_module("out", torch::nn::Linear(4 * kWidth, kWidth));
  }
  torch::Tensor forward(torch::Tensor x, const torch::Tensor& mask) {
    const int64_t batch = x.size(0), seq = x.size(1), head_width = kWidth / kHeads;
    const auto parts = qkv->forward(ln1->forward(x)).chunk(3, -1);
    const auto heads = [&](const torch::Tensor& t) {
      return t.reshape({batch, seq, kHeads, head_width}).transpose(1, 2);
    };
    auto scores = torch::matmul(heads(parts[0]), heads(parts[1]).transpose(-2, -1));
    scores = (scores / std::sqrt(static_cast<double>(head_width))).masked_fill(mask, -INFINITY);
    const auto mixed = torch::matmul(torch::softmax(scores, -1), heads(parts[2]));
    x = x + proj->forward(mixed.transpose(1, 2).reshape({batch, seq, kWidth}));
    return x + out->forward(torch::gelu(fc->forward(ln2->forward(x)), "tanh"));
  }
};
TORCH_MODULE(Block);

struct Gpt2Impl : torch::nn::Module {
  torch::nn::Embedding wte{nullptr}, wpe{nullptr};
  torch::nn::ModuleList blocks;
  torch::nn::LayerNorm lnf{nullptr};

  Gpt2Impl() {
    wte = register_module("wte", torch::nn::Embedding(kVocab, kWidth));
    wpe = register_module("wpe", torch::nn::Embedding(kContext, kWidth));
    for (int64_t i = 0; i < kLayers; ++i) blocks->push_back(Block());
    register_module("blocks", blocks);
    lnf = register_module("lnf", torch::nn::LayerNorm(torch::nn::LayerNormOptions({kWidth})));
    torch::NoGradGuard guard;
    for (auto& parameter : parameters()) {
      if (parameter.dim() == 2) parameter.normal_(0, 0.02);
    }
  }
  torch::Tensor loss(const torch::Tensor& inputs, const torch::Tensor& targets) {
    const int64_t seq = inputs.size(1);
    const auto mask = torch::ones({seq, seq}, torch::kBool).triu(1);
    auto x = wte->forward(inputs) + wpe->forward(torch::arange(seq));
    for (auto& block : *blocks) x = block->as<BlockImpl>()->forward(x, mask);
    const auto logits = torch::matmul(lnf->forward(x), wte->weight.t());
    return torch::nn::functional::cross_entropy(logits.view({-1, kVocab}), targets.view({-1}));
  }
};
TORCH_MODULE(Gpt2);

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: bench_train_torch THREADS STEPS BATCH SEQ keep|return\n");
    return 2;
  }
  if (std::strcmp(argv[5], "keep") == 0) {
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, -1);
  }
  const int threads = std::atoi(argv[1]), steps = std::atoi(argv[2]);
  const int64_t batch = std::atoi(argv[3]), seq = std::atoi(argv[4]);
  torch::set_num_threads(threads);
  torch::manual_seed(1);
  Gpt2 model;
  torch::optim::AdamW optimizer(model->parameters(),
                                torch::optim::AdamWOptions(6e-4).betas({0.9, 0.95}).weight_decay(0.1));
  const auto inputs = torch::randint(kVocab, {batch, seq}, torch::kLong);
  const auto targets = torch::randint(kVocab, {batch, seq}, torch::kLong);
  for (int step = 0; step < steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    optimizer.zero_grad();
    const auto loss = model->loss(inputs, targets);
    loss.backward();
    optimizer.step();
    std::printf("%.6f\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    std::fflush(stdout);
  }
  return 0;
}
