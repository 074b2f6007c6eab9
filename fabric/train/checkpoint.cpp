#include "fabric/train/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "fabric/data/hdf5.h"
#include "fabric/train/group.h"
#include "kernels/semantics.h"

namespace ufab {

namespace {

constexpr const char* kFormat = "ufab.checkpoint";
constexpr std::uint64_t kVersion = 2, kLlamaVersion = 3;
constexpr std::string_view kPrefix = "step-", kSuffix = ".h5", kTemporary = ".tmp";
constexpr std::uint64_t kParametersMax = std::uint64_t{1} << 36;

// The attributes that the head digest covers, in the documented order.
struct Head {
  std::uint64_t step = 0, parameters = 0, semantics = 0;
  std::uint64_t vocab_size = 0, context = 0, layers = 0, heads = 0, width = 0;
  // Of the llama family alone.
  std::uint64_t kv_heads = 0, hidden = 0, tied = 0;
  std::string family, norm_epsilon, rope_theta;
  Digest definition, corpus, state_digest;

  [[nodiscard]] bool llama() const { return !family.empty(); }
  [[nodiscard]] std::uint64_t version() const { return llama() ? kLlamaVersion : kVersion; }
  [[nodiscard]] Digest digest() const {
    Writer writer;
    writer.text(fmt::format("ufab.checkpoint/{}", version()));
    for (const auto& [name, member] : kNumbers) writer.u64(this->*member);
    if (llama()) {
      for (const auto& [name, member] : kLlamaNumbers) writer.u64(this->*member);
      for (const auto& [name, member] : kLlamaTexts) writer.text(this->*member);
    }
    for (const auto& [name, member] : kDigests) writer.raw((this->*member).view());
    return sha256(writer.bytes());
  }
  static constexpr std::pair<const char*, std::uint64_t Head::*> kNumbers[] = {
      {"step", &Head::step},           {"parameters", &Head::parameters},
      {"semantics", &Head::semantics}, {"vocab_size", &Head::vocab_size},
      {"context", &Head::context},     {"layers", &Head::layers},
      {"heads", &Head::heads},         {"width", &Head::width}};
  static constexpr std::pair<const char*, std::uint64_t Head::*> kLlamaNumbers[] = {
      {"kv_heads", &Head::kv_heads}, {"hidden", &Head::hidden}, {"tied", &Head::tied}};
  static constexpr std::pair<const char*, std::string Head::*> kLlamaTexts[] = {
      {"family", &Head::family}, {"norm_epsilon", &Head::norm_epsilon}, {"rope_theta", &Head::rope_theta}};
  static constexpr std::pair<const char*, Digest Head::*> kDigests[] = {
      {"definition", &Head::definition}, {"corpus", &Head::corpus}, {"state_digest", &Head::state_digest}};
};

Head make_head(const CheckpointInfo& info, const TrainState& state) {
  Head head;
  head.step = state.step;
  head.parameters = state.params.size();
  head.semantics = kernels::kSemanticsVersion;
  const auto& model = info.model;
  head.vocab_size = static_cast<std::uint64_t>(model.vocab_size);
  head.context = static_cast<std::uint64_t>(model.context);
  head.layers = static_cast<std::uint64_t>(model.layers);
  head.heads = static_cast<std::uint64_t>(model.heads);
  head.width = static_cast<std::uint64_t>(model.width);
  if (model.family == kernels::ModelFamily::llama) {
    head.kv_heads = static_cast<std::uint64_t>(model.kv_heads);
    head.hidden = static_cast<std::uint64_t>(model.hidden);
    head.tied = model.tied ? 1 : 0;
    head.family = kernels::family_name(model.family);
    head.norm_epsilon = fmt::format("{}", model.norm_epsilon);
    head.rope_theta = fmt::format("{}", model.rope_theta);
  }
  head.definition = info.definition;
  head.corpus = info.corpus;
  head.state_digest = info.digests.state;
  return head;
}

template <class Number>
bool parse_decimal(const std::string& text, Number& number) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc{} && parsed.ptr == text.data() + text.size();
}

// nullopt: no model that this version knows.
std::optional<kernels::ModelConfig> model_of(const Head& head) {
  kernels::ModelConfig model = kernels::Gpt2Shape{
      static_cast<int>(head.vocab_size), static_cast<int>(head.context), static_cast<int>(head.layers),
      static_cast<int>(head.heads), static_cast<int>(head.width)};
  if (head.llama()) {
    model.family = kernels::ModelFamily::llama;
    model.kv_heads = static_cast<int>(head.kv_heads);
    model.hidden = static_cast<int>(head.hidden);
    model.tied = head.tied == 1;
    if (head.family != kernels::family_name(model.family) || head.tied > 1 ||
        !parse_decimal(head.norm_epsilon, model.norm_epsilon) ||
        !parse_decimal(head.rope_theta, model.rope_theta)) {
      return std::nullopt;
    }
  }
  if (model.validate() || kernels::model_parameter_count(model) != head.parameters) return std::nullopt;
  return model;
}

constexpr const char* kVectors[] = {"params", "m", "v"};
constexpr const char* kExponents = "exponents";

// What a vector's elements are in memory and in the file.
struct ElementType {
  hid_t memory, file;
};
ElementType type_of(float) {
  return {H5T_NATIVE_FLOAT, H5T_IEEE_F32LE};
}
ElementType type_of(int) {
  return {H5T_NATIVE_INT, H5T_STD_I32LE};
}

// Who writes a file together: the ranks of a group, or (no group) one process alone, without MPI.
struct Writers {
  const Group* group = nullptr;
  [[nodiscard]] std::size_t ranks() const {
    return group == nullptr ? 1 : static_cast<std::size_t>(group->size());
  }
  [[nodiscard]] std::size_t rank() const {
    return group == nullptr ? 0 : static_cast<std::size_t>(group->rank());
  }
  [[nodiscard]] bool set_access(const hdf5::Properties& access) const {
    return group == nullptr || H5Pset_fapl_mpio(access.id(), group->communicator(), MPI_INFO_NULL) >= 0;
  }
  [[nodiscard]] bool set_transfer(const hdf5::Properties& transfer) const {
    return group == nullptr || H5Pset_dxpl_mpio(transfer.id(), H5FD_MPIO_COLLECTIVE) >= 0;
  }
};

// This writer's slice of one vector, written collectively.
template <typename Vector>
bool write_slice(const Writers& writers, const hdf5::File& file, const char* name, const Vector& values) {
  using T = typename Vector::value_type;
  const hdf5::Dataset dataset = hdf5::create_dataset(file, name, type_of(T{}).file, values.size());
  if (!dataset.ok()) return false;
  const std::size_t ranks = writers.ranks(), rank = writers.rank();
  const hsize_t begin = values.size() / ranks * rank + std::min(rank, values.size() % ranks);
  const hsize_t count = values.size() / ranks + (rank < values.size() % ranks ? 1 : 0);
  const hdf5::Space in_file(H5Dget_space(dataset.id()));
  const hdf5::Space in_memory(H5Screate_simple(1, &count, nullptr));
  const hdf5::Properties transfer(H5Pcreate(H5P_DATASET_XFER));
  if (count == 0) {
    H5Sselect_none(in_file.id());
    H5Sselect_none(in_memory.id());
  } else if (H5Sselect_hyperslab(in_file.id(), H5S_SELECT_SET, &begin, nullptr, &count, nullptr) < 0) {
    return false;
  }
  return writers.set_transfer(transfer) && H5Dwrite(dataset.id(), type_of(T{}).memory, in_memory.id(),
                                                    in_file.id(), transfer.id(), values.data() + begin) >= 0;
}

template <typename Vector>
bool read_vector(const hdf5::File& file, const char* name, std::uint64_t count, Vector& values) {
  using T = typename Vector::value_type;
  const auto dataset = hdf5::open_dataset(file, name, type_of(T{}).file, count);
  if (!dataset.ok()) return false;
  values.resize(count);
  return H5Dread(dataset.id(), type_of(T{}).memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0;
}

Status write_contents(const Writers& writers, const std::string& path, const CheckpointInfo& info,
                      const TrainState& state) {
  const Error failed{ErrorCode::io, path + ": the checkpoint cannot be written"};
  const hdf5::Properties access(H5Pcreate(H5P_FILE_ACCESS));
  if (!writers.set_access(access)) return failed;
  hdf5::File file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, hdf5::file_creation().id(), access.id()));
  if (!file.ok()) return failed;
  const Head head = make_head(info, state);
  bool good = hdf5::write_text(file, "format", kFormat) && hdf5::write_u64(file, "version", head.version());
  for (const auto& [name, member] : Head::kNumbers) good = good && hdf5::write_u64(file, name, head.*member);
  if (head.llama()) {
    for (const auto& [name, member] : Head::kLlamaNumbers) {
      good = good && hdf5::write_u64(file, name, head.*member);
    }
    for (const auto& [name, member] : Head::kLlamaTexts) {
      good = good && hdf5::write_text(file, name, head.*member);
    }
  }
  for (const auto& [name, member] : Head::kDigests) {
    good = good && hdf5::write_text(file, name, (head.*member).str());
  }
  good = good && hdf5::write_text(file, "parameters_digest", info.digests.parameters.str()) &&
         hdf5::write_text(file, "digest", head.digest().str());
  const std::pmr::vector<float>* vectors[] = {&state.params, &state.m, &state.v};
  for (std::size_t i = 0; i < 3; ++i) {
    fault_point();
    good = good && write_slice(writers, file, kVectors[i], *vectors[i]);
  }
  good = good && write_slice(writers, file, kExponents, state.exponents);
  if (!file.close() || !good) return failed;
  return {};
}

Status sync_and_rename(const std::string& temporary, const std::string& path) {
  fault_point();
  const int fd = ::open(temporary.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!synced) return Error{ErrorCode::io, temporary + ": " + std::strerror(error)};
  return rename_durable(temporary, path);
}

std::string folder_of(const std::string& folder) {
  return folder + "/checkpoints";
}

}  // namespace

std::string describe_model(const kernels::ModelConfig& model) {
  std::string text = fmt::format("{} layers, {} heads, width {}, context {}, vocabulary {}", model.layers,
                                 model.heads, model.width, model.context, model.vocab_size);
  if (model.family == kernels::ModelFamily::llama) {
    text += fmt::format(", llama: {} kv heads, hidden {}, epsilon {}, theta {}, {} head", model.kv_heads,
                        model.hidden, model.norm_epsilon, model.rope_theta, model.tied ? "tied" : "untied");
  }
  return text;
}

std::string checkpoint_path(const std::string& folder, std::uint64_t step) {
  return fmt::format("{}/{}{:08}{}", folder_of(folder), kPrefix, step, kSuffix);
}

std::vector<CheckpointFile> list_checkpoints(const std::string& folder) {
  std::vector<CheckpointFile> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(folder), error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const char* begin = name.data() + kPrefix.size();
    const char* end = name.data() + name.size() - kSuffix.size();
    std::uint64_t step = 0;
    const auto parsed = std::from_chars(begin, end, step);
    if (parsed.ec == std::errc{} && parsed.ptr == end) files.push_back({step, entry.path().string()});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return files;
}

void prune_checkpoints(const std::string& folder, std::uint64_t keep) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(folder), error)) {
    if (entry.path().extension() == kTemporary) std::filesystem::remove(entry.path(), error);
  }
  const auto files = list_checkpoints(folder);
  for (std::size_t i = keep; keep > 0 && i < files.size(); ++i) std::filesystem::remove(files[i].path, error);
}

Status save_checkpoint(MPI_Comm communicator, const std::string& path, const CheckpointInfo& info,
                       const TrainState& state) {
  hdf5::quiet();
  const Group group(communicator);
  const std::string temporary = path + std::string(kTemporary);
  UFAB_TRY(group.agree(write_contents({&group}, temporary, info, state)));
  Status status;
  if (group.leader()) status = sync_and_rename(temporary, path);
  return group.agree(status);
}

Status save_checkpoint_alone(const std::string& path, const Checkpoint& checkpoint) {
  hdf5::quiet();
  const std::string temporary = path + std::string(kTemporary);
  Status status = write_contents({}, temporary, checkpoint.info, checkpoint.state);
  if (status) status = sync_and_rename(temporary, path);
  std::error_code ignored;
  if (!status) std::filesystem::remove(temporary, ignored);
  return status;
}

std::uint64_t checkpoint_buffer_bytes(int ranks, std::uint64_t vector_bytes) {
  constexpr std::uint64_t kMost = std::uint64_t{48} << 20;
  return ranks < 3 ? 0 : std::min(vector_bytes + vector_bytes / 2, kMost);
}

Result<Checkpoint> load_checkpoint(const std::string& path) {
  hdf5::quiet();
  if (!file_exists(path)) return Error{ErrorCode::not_found, path + ": no such checkpoint"};
  const Error corrupt{ErrorCode::corrupt, path + ": damaged checkpoint"};
  const hdf5::File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  if (!file.ok()) return corrupt;
  std::string text;
  std::uint64_t version = 0;
  if (!hdf5::read_text(file, "format", 64, text) || text != kFormat ||
      !hdf5::read_u64(file, "version", version)) {
    return corrupt;
  }
  if (version != kVersion && version != kLlamaVersion) {
    return Error{ErrorCode::invalid,
                 fmt::format("{}: checkpoint version {}, this program reads versions {} and {}", path,
                             version, kVersion, kLlamaVersion)};
  }
  Head head;
  for (const auto& [name, member] : Head::kNumbers) {
    if (!hdf5::read_u64(file, name, head.*member)) return corrupt;
  }
  if (version == kLlamaVersion) {
    for (const auto& [name, member] : Head::kLlamaNumbers) {
      if (!hdf5::read_u64(file, name, head.*member)) return corrupt;
    }
    for (const auto& [name, member] : Head::kLlamaTexts) {
      if (!hdf5::read_text(file, name, 64, head.*member) || (head.*member).empty()) return corrupt;
    }
  }
  const auto read_digest = [&](const char* name, Digest& digest) {
    if (!hdf5::read_text(file, name, 128, text)) return false;
    const auto parsed = Digest::parse(text);
    if (parsed.ok()) digest = *parsed;
    return parsed.ok();
  };
  for (const auto& [name, member] : Head::kDigests) {
    if (!read_digest(name, head.*member)) return corrupt;
  }
  Checkpoint checkpoint;
  Digest parameters, digest;
  if (!read_digest("parameters_digest", parameters) || !read_digest("digest", digest)) return corrupt;
  if (digest != head.digest() || head.parameters == 0 || head.parameters > kParametersMax) return corrupt;
  if (head.semantics != static_cast<std::uint64_t>(kernels::kSemanticsVersion)) {
    return Error{ErrorCode::invalid,
                 fmt::format("{}: made by kernels' semantics version {}, these are version {}", path,
                             head.semantics, kernels::kSemanticsVersion)};
  }
  const auto model = model_of(head);
  if (!model) return corrupt;
  checkpoint.info.model = *model;
  checkpoint.info.definition = head.definition;
  checkpoint.info.corpus = head.corpus;
  TrainState& state = checkpoint.state;
  state.step = head.step;
  std::pmr::vector<float>* vectors[] = {&state.params, &state.m, &state.v};
  for (std::size_t i = 0; i < 3; ++i) {
    if (!read_vector(file, kVectors[i], head.parameters, *vectors[i])) return corrupt;
  }
  const auto tensors = kernels::model_parameters(checkpoint.info.model).size();
  if (!read_vector(file, kExponents, tensors, state.exponents)) return corrupt;
  checkpoint.info.digests = state_digest(state);
  if (checkpoint.info.digests.state != head.state_digest ||
      checkpoint.info.digests.parameters != parameters) {
    return corrupt;
  }
  return checkpoint;
}

}  // namespace ufab
