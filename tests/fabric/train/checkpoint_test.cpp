#include "fabric/train/checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "fabric/base/file.h"
#include "tests/fabric/support/process.h"

namespace ufab::testing {
namespace {

class MpiEnvironment : public ::testing::Environment {
 public:
  void SetUp() override { MPI_Init(nullptr, nullptr); }
  void TearDown() override { MPI_Finalize(); }
};
const auto* const kEnvironment = ::testing::AddGlobalTestEnvironment(new MpiEnvironment);

void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

Checkpoint example(const kernels::ModelConfig& model = kernels::Gpt2Shape{32, 8, 1, 2, 8}) {
  Checkpoint checkpoint;
  checkpoint.info.model = model;
  checkpoint.info.definition = sha256("definition");
  checkpoint.info.corpus = sha256("corpus");
  const std::size_t count = kernels::model_parameter_count(checkpoint.info.model);
  checkpoint.state.step = 12;
  const auto tensors = static_cast<int>(kernels::model_parameters(checkpoint.info.model).size());
  for (int t = 0; t < tensors; ++t) checkpoint.state.exponents.push_back(t - 3);
  for (std::size_t i = 0; i < count; ++i) {
    checkpoint.state.params.push_back(static_cast<float>(i) * 0.5F);
    checkpoint.state.m.push_back(-static_cast<float>(i));
    checkpoint.state.v.push_back(1.0F / static_cast<float>(i + 1));
  }
  checkpoint.info.digests = state_digest(checkpoint.state);
  return checkpoint;
}

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_folders(folder_ / "checkpoints").ok());
    path_ = checkpoint_path(folder_.path(), 12);
    ASSERT_TRUE(save_checkpoint(MPI_COMM_SELF, path_, example()).ok());
  }
  TemporaryFolder folder_;
  std::string path_;
};

TEST_F(CheckpointTest, EverythingComesBack) {
  const auto loaded = load_checkpoint(path_);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  const Checkpoint saved = example();
  EXPECT_EQ(loaded->info.model, saved.info.model);
  EXPECT_EQ(loaded->info.definition, saved.info.definition);
  EXPECT_EQ(loaded->info.corpus, saved.info.corpus);
  EXPECT_EQ(loaded->info.digests.state, saved.info.digests.state);
  EXPECT_EQ(loaded->state.step, 12U);
  EXPECT_EQ(loaded->state.exponents, saved.state.exponents);
  EXPECT_EQ(loaded->state.params, saved.state.params);
  EXPECT_EQ(loaded->state.m, saved.state.m);
  EXPECT_EQ(loaded->state.v, saved.state.v);
}

const kernels::LlamaShape kLlama{.vocab_size = 32,
                                 .context = 8,
                                 .layers = 1,
                                 .heads = 4,
                                 .kv_heads = 2,
                                 .width = 16,
                                 .hidden = 20,
                                 .norm_epsilon = 3e-6F,
                                 .rope_theta = 123456.75,
                                 .tied = false};

TEST_F(CheckpointTest, ALlamaComesBackWithAllThatItsShapeHasToChoose) {
  for (const bool tied : {false, true}) {
    kernels::LlamaShape shape = kLlama;
    shape.tied = tied;
    ASSERT_TRUE(save_checkpoint(MPI_COMM_SELF, path_, example(shape)).ok());
    const auto loaded = load_checkpoint(path_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    EXPECT_EQ(loaded->info.model, kernels::ModelConfig(shape));
    EXPECT_EQ(loaded->state.params, example(shape).state.params);
  }
  EXPECT_EQ(
      describe_model(kLlama),
      "1 layers, 4 heads, width 16, context 8, vocabulary 32, llama: 2 kv heads, hidden 20, epsilon 3e-06, "
      "theta 123456.75, untied head");
}

TEST_F(CheckpointTest, AFlippedByteOfALlamaIsFoundOrHarmless) {
  ASSERT_TRUE(save_checkpoint(MPI_COMM_SELF, path_, example(kLlama)).ok());
  const Bytes good = *read_file(path_, 1 << 24);
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); at += 23) {
    Bytes bad = good;
    bad[at] ^= 0x40;
    write_text(path_, as_text(bad));
    const auto loaded = load_checkpoint(path_);
    if (!loaded.ok()) {
      ++refused;
      continue;
    }
    EXPECT_EQ(state_digest(loaded->state).state, example(kLlama).info.digests.state) << at;
    EXPECT_EQ(loaded->info.model, example(kLlama).info.model) << at;
  }
  EXPECT_GT(refused, 200);
}

TEST_F(CheckpointTest, AFlippedByteIsFoundOrHarmless) {
  const Bytes good = *read_file(path_, 1 << 24);
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); at += 23) {
    Bytes bad = good;
    bad[at] ^= 0x40;
    write_text(path_, as_text(bad));
    const auto loaded = load_checkpoint(path_);
    if (!loaded.ok()) {
      ++refused;
      continue;
    }
    // HDF5 leaves unused bytes in its blocks; whatever loads is the very same state of the same job.
    EXPECT_EQ(state_digest(loaded->state).state, example().info.digests.state) << at;
    EXPECT_EQ(loaded->info.definition, example().info.definition) << at;
    EXPECT_EQ(loaded->info.corpus, example().info.corpus) << at;
    EXPECT_EQ(loaded->info.model, example().info.model) << at;
  }
  EXPECT_GT(refused, 200);
}

TEST_F(CheckpointTest, ATruncatedFileIsDamaged) {
  const Bytes good = *read_file(path_, 1 << 24);
  for (std::size_t size = 0; size < good.size(); size += good.size() / 50) {
    write_text(path_, as_text(ByteView(good).first(size)));
    const auto loaded = load_checkpoint(path_);
    ASSERT_FALSE(loaded.ok()) << size;
    EXPECT_EQ(loaded.error().code, ErrorCode::corrupt);
  }
}

TEST_F(CheckpointTest, ListingIsNewestFirstAndPruningKeepsTheNewestAndDropsTemporaries) {
  for (const std::uint64_t step : {4U, 100U, 8U}) {
    ASSERT_TRUE(save_checkpoint(MPI_COMM_SELF, checkpoint_path(folder_.path(), step), example()).ok());
  }
  for (const char* name : {"step-00000016.h5.tmp", "notes.txt", "step-x.h5"}) {
    ASSERT_TRUE(write_file_atomic(folder_ / "checkpoints/" + name, as_bytes("x")).ok());
  }
  const auto files = list_checkpoints(folder_.path());
  ASSERT_EQ(files.size(), 4U);
  EXPECT_EQ(files[0].step, 100U);
  EXPECT_EQ(files[3].step, 4U);
  prune_checkpoints(folder_.path(), 2);
  EXPECT_EQ(list_checkpoints(folder_.path()).size(), 2U);
  EXPECT_FALSE(file_exists(folder_ / "checkpoints/step-00000016.h5.tmp"));
  EXPECT_TRUE(file_exists(folder_ / "checkpoints/notes.txt"));
}

TEST_F(CheckpointTest, AFolderThatCannotBeWrittenIsOneLine) {
  const Status status = save_checkpoint(MPI_COMM_SELF, folder_ / "absent/step-00000001.h5", example());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace ufab::testing
