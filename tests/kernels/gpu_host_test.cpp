// The GPU's kernels in the host executor: what a GPU would not tell. Their bits at random shapes are compared
// in the other tests, as one more backend; here are the orders of threads, the other integer kernel, and the
// executor's own strictness.
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/bf16.h"
#include "kernels/gpu/device_host_executor.h"
#include "kernels/gpu/gpu_backend.h"
#include "kernels/thread_pool.h"
#include "tests/kernels/support.h"
#include "tests/kernels/training.h"

namespace ufab::kernels {
namespace {

using host_executor::ThreadOrder;
using test::Random;
using test::volume;
using Floats = std::pmr::vector<float>;

// Every kernel with a barrier or an exchange, on one thread of the pool.
Floats run_all(Backend& backend, MatmulFormat format) {
  constexpr int kRows = 131, kWidth = 97, kHeads = 6, kKvHeads = 3, kHeadWidth = 5, kVocab = 2300;
  Random random(5);
  Floats all;
  const auto keep = [&](const Floats& values) { all.insert(all.end(), values.begin(), values.end()); };
  const Floats in = random.floats(volume({kRows, kWidth})), dout = random.floats(in.size());
  const Floats gamma = random.floats(kWidth), beta = random.floats(kWidth);
  Floats out(in.size()), mean(kRows), rstd(kRows), dgamma(kWidth), dbeta(kWidth);
  backend.layernorm_forward(out.data(), mean.data(), rstd.data(), in.data(), gamma.data(), beta.data(), kRows,
                            kWidth);
  keep(out);
  backend.layernorm_backward_input(out.data(), dout.data(), in.data(), gamma.data(), mean.data(), rstd.data(),
                                   kRows, kWidth);
  keep(out);
  backend.layernorm_backward_parameters(dgamma.data(), dbeta.data(), dout.data(), in.data(), mean.data(),
                                        rstd.data(), kRows, kWidth);
  keep(dgamma);
  keep(dbeta);
  backend.rmsnorm_forward(out.data(), rstd.data(), in.data(), gamma.data(), 1e-5F, kRows, kWidth);
  backend.rmsnorm_backward_input(out.data(), dout.data(), in.data(), gamma.data(), rstd.data(), kRows,
                                 kWidth);
  keep(out);

  constexpr int kOut = 150;
  const Floats weight = random.floats(volume({kOut, kWidth})), dwide = random.floats(volume({kRows, kOut}));
  Floats wide(dwide.size()), dweight(weight.size());
  backend.matmul_forward(wide.data(), in.data(), weight.data(), nullptr, kRows, kWidth, kOut, format);
  keep(wide);
  backend.matmul_backward_input(out.data(), dwide.data(), weight.data(), kRows, kWidth, kOut, format);
  keep(out);
  backend.matmul_backward_weight(dweight.data(), in.data(), dwide.data(), kRows, kWidth, kOut, kOut, false,
                                 format);
  keep(dweight);

  const Floats qkv = random.floats(volume({kRows, kHeads + 2 * kKvHeads, kHeadWidth}));
  Floats heads(volume({kRows, kHeads, kHeadWidth})), logsumexp(volume({kRows, kHeads})), dqkv(qkv.size());
  backend.attention_forward(heads.data(), logsumexp.data(), qkv.data(), 1, kRows, kHeads, kKvHeads,
                            kHeadWidth, format);
  keep(heads);
  keep(logsumexp);
  const Floats dheads = random.floats(heads.size());
  backend.attention_backward(dqkv.data(), dheads.data(), heads.data(), logsumexp.data(), qkv.data(), 1, kRows,
                             kHeads, kKvHeads, kHeadWidth, format);
  keep(dqkv);

  Floats logits = random.floats(volume({3, kVocab})), losses(3);
  const auto targets = random.tokens(3, kVocab);
  backend.softmax_cross_entropy(losses.data(), logits.data(), targets.data(), 3, kVocab, 3, true);
  keep(logits);
  keep(losses);
  const auto tokens = random.tokens(kRows, 7);
  Floats dwte = random.floats(volume({7, kWidth}));
  backend.embedding_backward_tokens(dwte.data(), in.data(), tokens.data(), kRows, kWidth, 1, 5);
  keep(dwte);

  std::pmr::vector<std::int32_t> sums(in.size());
  std::pmr::vector<QuantizeResult> result(1);
  std::pmr::vector<double> squares(1);
  backend.quantize_add(result.data(), sums.data(), in.data(), in.size(), 20, 77, false);
  backend.sum_of_squares(squares.data(), sums.data(), sums.size());
  // Their bits, as floats that are never NaN.
  for (const std::uint64_t word :
       {result[0].peak, result[0].fingerprint, std::bit_cast<std::uint64_t>(squares[0])}) {
    for (int shift = 0; shift < 64; shift += 16) all.push_back(static_cast<float>(word >> shift & 0xFFFFU));
  }
  return all;
}

class GpuHost : public testing::Test {
 protected:
  void SetUp() override {
    if (!backend_available(BackendKind::gpu_host)) GTEST_SKIP() << why_unavailable(BackendKind::gpu_host);
  }
};

constexpr gpu::IntegerUnit kUnits[] = {gpu::IntegerUnit::best, gpu::IntegerUnit::tiles,
                                       gpu::IntegerUnit::dot4};

TEST_F(GpuHost, NoResultDependsOnTheOrderOfThreadsOrOnTheIntegerUnit) {
  for (const MatmulFormat format : {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8}) {
    const auto reference = make_backend(BackendKind::reference, 1);
    const Floats expected = run_all(*reference, format);
    for (const ThreadOrder order :
         {ThreadOrder::ascending, ThreadOrder::descending, ThreadOrder::interleaved}) {
      for (const gpu::IntegerUnit unit : kUnits) {
        const auto backend = gpu::make_host_executor_backend(1, order, unit);
        EXPECT_EQ(test::first_difference(expected, run_all(*backend, format)), -1)
            << format_name(format) << ", order " << static_cast<int>(order) << ", unit "
            << static_cast<int>(unit);
      }
    }
  }
}

// Of one unit: the other one adds in another order.
TEST_F(GpuHost, NoResultOfBf16DependsOnTheOrderOfThreads) {
  for (const gpu::IntegerUnit unit : kUnits) {
    Floats expected;
    for (const ThreadOrder order :
         {ThreadOrder::ascending, ThreadOrder::descending, ThreadOrder::interleaved}) {
      const auto backend = gpu::make_host_executor_backend(1, order, unit);
      const Floats got = run_all(*backend, MatmulFormat::bf16);
      if (expected.empty()) expected = got;
      EXPECT_EQ(test::first_difference(expected, got), -1)
          << "order " << static_cast<int>(order) << ", unit " << static_cast<int>(unit);
    }
  }
}

// Four neighbours are moved at once where their place allows it; where it does not the bits are the same.
TEST_F(GpuHost, TensorsMayBeginAnywhere) {
  constexpr int kSeq = 70, kHeads = 2, kHeadWidth = 8, kRows = 67, kWidth = 132, kOut = 20;
  const auto reference = make_backend(BackendKind::reference, 1);
  const auto device = make_backend(BackendKind::gpu_host, 1);
  for (std::size_t shift = 0; shift < 4; ++shift) {
    std::vector<Floats> results;
    for (Backend* backend : {reference.get(), device.get()}) {
      Random random(7);
      Floats all;
      const auto at = [&](Floats& values) { return values.data() + shift; };
      const auto filled = [&](std::size_t count) { return random.floats(count + 4); };
      const std::size_t count = volume({kRows, kWidth});
      Floats a = filled(2 * count), b = filled(2 * count), out = filled(2 * count);
      const auto keep = [&] { all.insert(all.end(), out.begin(), out.end()); };
      backend->gelu_forward(at(out), at(a), count);
      keep();
      backend->gelu_backward(at(out), at(b), at(a), count);
      backend->residual_forward(at(out), at(out), at(b), count);
      keep();
      backend->copy(at(out), at(a), count);
      keep();
      backend->swiglu_forward(at(out), at(a), kRows, kWidth);
      keep();
      backend->swiglu_backward(at(out), at(b), at(a), kRows, kWidth);
      keep();
      for (const MatmulFormat format : kExactFormats) {
        backend->matmul_forward(at(out), at(a), at(b), nullptr, kRows, kWidth, kOut, format);
        keep();
      }
      Floats tokens_of = filled(volume({5, kWidth}));
      const auto tokens = random.tokens(kRows, 5);
      backend->embedding_forward(at(out), at(tokens_of), nullptr, tokens.data(), 1, kRows, kWidth);
      keep();
      backend->attention_forward(at(out), at(b), at(a), 1, kSeq, kHeads, kHeads, kHeadWidth);
      keep();
      backend->attention_backward(at(tokens_of), at(a), at(out), at(b), at(a), 1, 13, kHeads, kHeads,
                                  kHeadWidth);
      all.insert(all.end(), tokens_of.begin(), tokens_of.end());
      std::pmr::vector<std::int32_t> sums(count + 4);
      std::pmr::vector<QuantizeResult> result(1);
      backend->quantize_add(result.data(), sums.data() + shift, at(a), count, 20, 5, false);
      backend->adamw(at(a), at(b), at(out), sums.data() + shift, count,
                     {1e-6F, 0.9F, 0.1F, 0.95F, 0.05F, 1, 1, 1e-4F, 1e-8F, 0.1F});
      keep();
      all.insert(all.end(), a.begin(), a.end());
      results.push_back(all);
    }
    EXPECT_EQ(test::first_difference(results[0], results[1]), -1) << "shift " << shift;
  }
}

// More ranges than go into one launch, some of several blocks.
TEST_F(GpuHost, SquaresOfManyRangesAreThoseOfEach) {
  const auto reference = make_backend(BackendKind::reference, 1);
  const auto device = make_backend(BackendKind::gpu_host, 2);
  Random random(11);
  std::pmr::vector<std::int32_t> sums(3 * kNormBlock);
  for (std::int32_t& sum : sums) sum = static_cast<std::int32_t>(random.word()) >> 1;
  std::vector<SumRange> ranges{{5, 2 * kNormBlock + 77}, {0, kNormBlock}, {9, kNormBlock + 1}};
  for (std::size_t i = 0; i < 270; ++i) ranges.push_back({i, i % 90 + 1});
  std::pmr::vector<double> expected(ranges.size()), got(ranges.size());
  reference->sums_of_squares(expected.data(), sums.data(), ranges);
  device->sums_of_squares(got.data(), sums.data(), ranges);
  EXPECT_EQ(expected, got);
}

// What a plan of memory counts for the kernels is what a step of training makes them take.
TEST_F(GpuHost, TheirWorkingMemoryIsWhatIsAnnounced) {
  Random random(9);
  struct Case {
    ModelConfig config;
    int batch, seq;
  };
  const ModelConfig gpt2 = Gpt2Shape{300, 48, 1, 2, 64};
  const ModelConfig llama = LlamaShape{300, 48, 1, 4, 2, 64, 96};
  // Sums of columns in one block and in two.
  for (const auto& [config, batch, seq] : {Case{gpt2, 2, 24}, Case{gpt2, 2, 48}, Case{llama, 2, 48}}) {
    for (const MatmulFormat format :
         {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8, MatmulFormat::bf16}) {
      const auto backend = make_backend(BackendKind::gpu_host, 2);
      test::Trainer trainer(config, batch, seq, *backend, format);
      const std::vector<test::Batch> batches{test::make_batch(random, batch, seq, config.vocab_size)};
      const std::size_t before = gpu_host::Pieces::all().bytes();
      trainer.step(batches);
      const std::size_t taken = gpu_host::Pieces::all().bytes() - before;
      const std::size_t announced =
          backend->scratch_bytes(model_scratch(config, batch, seq, format, backend->logits_bytes()));
      EXPECT_LE(taken, announced) << family_name(config.family) << " " << format_name(format);
      EXPECT_GE(taken, announced / 2) << family_name(config.family) << " " << format_name(format);
    }
  }
}

TEST_F(GpuHost, MemoryOfSomebodyElseIsRefused) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto backend = make_backend(BackendKind::gpu_host, 1);
  Floats mine(8);
  std::vector<float> other(8);
  backend->zero(mine.data(), 32);
  EXPECT_DEATH(backend->zero(other.data(), 32), "assertion failed");
}

class ExecutorTest : public testing::Test {
 protected:
  ThreadPool pool_{1};
  host_executor::Executor executor_{pool_};
};

TEST_F(ExecutorTest, EveryThreadOfEveryBlockRunsOnce) {
  std::vector<int> runs(3 * 64);
  executor_.run(3, 64, [&] {
    const auto index =
        host_executor::block_index() * 64 + static_cast<unsigned>(host_executor::thread_index());
    ++runs[index];
    host_executor::block_barrier();
    runs[index] += 10 * static_cast<int>(host_executor::grid_blocks());
  });
  EXPECT_EQ(runs, std::vector<int>(3 * 64, 31));
}

TEST_F(ExecutorTest, SharedArraysAreOneABlockAndStartAsGarbage) {
  static const char key = 0;
  bool garbage = true, same = true;
  executor_.run(2, 32, [&] {
    auto* shared = static_cast<std::uint8_t*>(host_executor::shared_array(&key, 32));
    const int thread = host_executor::thread_index();
    garbage = garbage && shared[thread] == 0xCB;
    host_executor::block_barrier();
    shared[thread] = static_cast<std::uint8_t>(thread);
    host_executor::block_barrier();
    same = same && shared[31 - thread] == 31 - thread;
  });
  EXPECT_TRUE(garbage);
  EXPECT_TRUE(same);
}

TEST_F(ExecutorTest, ExchangesFollowOneAnotherInAnyGroup) {
  bool right = true;
  executor_.run(1, 64, [&] {
    const int thread = host_executor::thread_index();
    for (int round = 0; round < 5; ++round) {
      for (int mask = 1; mask < 16; mask *= 2) {
        right =
            right && host_executor::exchange<16>(100 * round + thread, mask) == 100 * round + (thread ^ mask);
      }
      right = right && host_executor::exchange<32>(thread, 31) == (thread ^ 31);
    }
  });
  EXPECT_TRUE(right);
}

TEST_F(ExecutorTest, ABarrierThatSomeNeverReachEndsTheProcessWithItsPlace) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(executor_.run(1, 32,
                             [] {
                               if (host_executor::thread_index() != 7) host_executor::block_barrier();
                             }),
               "block 0: 31 of 32 threads wait for ever, the first of them thread 0 in block_barrier");
}

// The products of 16 x 32 by 32 x 8 bytes against plain sums, every byte at its place in the PTX ISA's
// layout.
TEST_F(ExecutorTest, FragmentsAreLaidOutAsThePtxIsaSays) {
  Random random(3);
  std::int8_t a[16][32], b[32][8];
  std::int32_t expected[16][8] = {}, got[16][8] = {};
  for (auto& row : a) {
    for (auto& x : row) x = static_cast<std::int8_t>(random.below(256) - 128);
  }
  for (auto& row : b) {
    for (auto& x : row) x = static_cast<std::int8_t>(random.below(256) - 128);
  }
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      for (int k = 0; k < 32; ++k) expected[i][j] += a[i][k] * b[k][j];
    }
  }
  executor_.run(1, 32, [&] {
    // "Matrix Fragments for mma.m16n8k32", 8-bit integers: element i of a is in row groupID, or groupID + 8
    // for 4 <= i < 8 and i >= 12, and column threadID_in_group * 4 + i % 4, + 16 for i >= 8.
    const int lane = host_executor::thread_index(), group = lane >> 2, in_group = lane % 4;
    std::int8_t mine_a[16], mine_b[8];
    for (int i = 0; i < 16; ++i) {
      const int row = i < 4 || (i >= 8 && i < 12) ? group : group + 8;
      mine_a[i] = a[row][in_group * 4 + (i & 3) + (i < 8 ? 0 : 16)];
    }
    for (int i = 0; i < 8; ++i) mine_b[i] = b[in_group * 4 + (i & 3) + (i < 4 ? 0 : 16)][group];
    std::uint32_t words_a[4], words_b[2];
    std::memcpy(words_a, mine_a, sizeof words_a);
    std::memcpy(words_b, mine_b, sizeof words_b);
    std::int32_t c[4] = {};
    host_executor::multiply_tile(c, words_a, words_b, 1, 1);
    for (int i = 0; i < 4; ++i) got[i < 2 ? group : group + 8][in_group * 2 + (i & 1)] = c[i];
  });
  EXPECT_EQ(std::memcmp(expected, got, sizeof got), 0);
}

// As above, of bfloat16: small integers, whose sums are exact.
TEST_F(ExecutorTest, FragmentsOfBfloat16AreLaidOutAsThePtxIsaSays) {
  Random random(4);
  float a[16][16], b[16][8], expected[16][8] = {}, got[16][8] = {};
  for (auto& row : a) {
    for (float& x : row) x = static_cast<float>(random.below(256) - 128);
  }
  for (auto& row : b) {
    for (float& x : row) x = static_cast<float>(random.below(256) - 128);
  }
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      for (int k = 0; k < 16; ++k) expected[i][j] += a[i][k] * b[k][j];
    }
  }
  executor_.run(1, 32, [&] {
    // "Matrix Fragments for mma.m16n8k16 with floating point type", .bf16: element i of a is in row groupID,
    // or groupID + 8 for i = 2, 3, 6 and 7, and column threadID_in_group * 2 + i % 2, + 8 for i >= 4.
    const int lane = host_executor::thread_index(), group = lane >> 2, in_group = lane % 4;
    std::uint16_t mine_a[8], mine_b[4];
    for (int i = 0; i < 8; ++i) {
      const int row = i % 4 < 2 ? group : group + 8;
      mine_a[i] = static_cast<std::uint16_t>(bf16_bits(a[row][in_group * 2 + (i & 1) + (i < 4 ? 0 : 8)]));
    }
    for (int i = 0; i < 4; ++i) {
      mine_b[i] = static_cast<std::uint16_t>(bf16_bits(b[in_group * 2 + (i & 1) + (i < 2 ? 0 : 8)][group]));
    }
    std::uint32_t words_a[4], words_b[2];
    std::memcpy(words_a, mine_a, sizeof words_a);
    std::memcpy(words_b, mine_b, sizeof words_b);
    float c[4] = {};
    host_executor::multiply_tile(c, words_a, words_b, 1, 1);
    for (int i = 0; i < 4; ++i) got[i < 2 ? group : group + 8][in_group * 2 + (i & 1)] = c[i];
  });
  EXPECT_EQ(std::memcmp(expected, got, sizeof got), 0);
}

TEST_F(ExecutorTest, AnAsynchronousCopyIsMadeBetweenItsStartAndTheWaitForIt) {
  alignas(16) const std::uint32_t from[4] = {1, 2, 3, 4};
  for (const ThreadOrder order :
       {ThreadOrder::ascending, ThreadOrder::descending, ThreadOrder::interleaved}) {
    host_executor::Executor executor(pool_, order);
    alignas(16) std::uint32_t to[32][4];
    std::memset(to, 0xFF, sizeof to);
    bool early = true, late = true;
    executor.run(1, 32, [&] {
      std::uint32_t* mine = to[host_executor::thread_index()];
      const bool inside = host_executor::thread_index() % 2 == 0;
      host_executor::copy_async(mine, from, sizeof from, inside);
      early = early && mine[3] == (inside ? 4U : 0U);
      host_executor::await_copies(0);
      late = late && mine[3] == (inside ? 4U : 0U);
    });
    EXPECT_EQ(early, order == ThreadOrder::ascending);
    EXPECT_TRUE(late);
  }
}

}  // namespace
}  // namespace ufab::kernels
