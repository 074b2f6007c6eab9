#include "fabric/model/model_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "fabric/model/hugging_face.h"
#include "fabric/model/safetensors.h"
#include "fabric/train/checkpoint.h"
#include "kernels/gradient.h"

namespace ufab {

namespace {

constexpr std::size_t kPieceFloats = std::size_t{1} << 18;  // 1 MiB
constexpr std::size_t kConfigMax = std::size_t{1} << 20;    // bytes of a config.json
constexpr const char* kStep = "ufab.step";
constexpr const char* kParameters = "ufab.parameters_digest";
constexpr const char* kDefinition = "ufab.definition";
constexpr const char* kCorpus = "ufab.corpus";

std::string config_beside(const std::string& path) {
  return (std::filesystem::path(path).parent_path() / "config.json").string();
}

Result<kernels::ModelConfig> load_config(const std::string& path) {
  UFAB_ASSIGN(const std::string text, read_text_file(path, kConfigMax));
  auto config = parse_hugging_face_config(text);
  if (!config) return config.error().within(path);
  return config;
}

// Export.

// Whether config.json is still to be written: nobody's file is replaced.
Result<bool> config_wanted(const std::string& path, const kernels::ModelConfig& model) {
  if (!file_exists(path)) return true;
  const auto there = load_config(path);
  if (there.ok() && *there == model) return false;
  return Error{ErrorCode::conflict, path + ": is there and describes another model; choose another folder"};
}

Status write_transposed(SafetensorsWriter& writer, const HuggingFaceTensor& tensor,
                        std::span<const float> values) {
  const std::size_t columns = tensor.shape[0], rows = tensor.shape[1];  // here: [rows][columns]
  const std::size_t step = std::max<std::size_t>(1, kPieceFloats / rows);
  std::vector<float> piece;
  for (std::size_t first = 0; first < columns; first += step) {
    piece.resize(std::min(step, columns - first) * rows);
    transpose_out(values, rows, columns, first, piece);
    UFAB_TRY(writer.append(piece));
  }
  return {};
}

SafetensorsMetadata metadata_of(const Checkpoint& checkpoint) {
  const CheckpointInfo& info = checkpoint.info;
  SafetensorsMetadata metadata{{"format", "pt"},
                               {kStep, std::to_string(checkpoint.state.step)},
                               {kParameters, info.digests.parameters.str()}};
  if (!info.definition.is_zero()) metadata[kDefinition] = info.definition.str();
  if (!info.corpus.is_zero()) metadata[kCorpus] = info.corpus.str();
  return metadata;
}

Status write_weights(const std::string& path, const Checkpoint& checkpoint) {
  const auto tensors = hugging_face_tensors(checkpoint.info.model);
  std::vector<SafetensorsTensor> list;
  list.reserve(tensors.size());
  for (const HuggingFaceTensor& tensor : tensors) {
    list.push_back({tensor.name, "F32", tensor.shape, 0, 0});
  }
  UFAB_ASSIGN(SafetensorsWriter writer,
              SafetensorsWriter::create(path, metadata_of(checkpoint), std::move(list)));
  const std::span<const float> params(checkpoint.state.params);
  for (const HuggingFaceTensor& tensor : tensors) {
    const auto values = params.subspan(tensor.offset, tensor.count);
    UFAB_TRY(tensor.transposed ? write_transposed(writer, tensor, values) : writer.append(values));
  }
  return writer.finish();
}

// Import.

class Importer {
 public:
  Importer(std::string path, SafetensorsFile file) : path_(std::move(path)), file_(std::move(file)) {}

  // Names without "transformer.", each once.
  Status index_names();
  Status choose_model(int heads, ModelFile& result);
  Status check_tensors(const kernels::ModelConfig& model);
  Status read(const kernels::ModelConfig& model, std::pmr::vector<float>& params) const;
  Status check_tied_head(const kernels::ModelConfig& model, std::span<const float> embedding) const;
  Status check_digest(const Digest& parameters) const;
  [[nodiscard]] Digest corpus() const;

 private:
  Error wrong(const std::string& message) const { return {ErrorCode::invalid, path_ + ": " + message}; }
  Result<kernels::ModelConfig> model_of_tensors(int heads) const;
  Status check_tensor(const SafetensorsTensor& tensor, const std::string& name,
                      const std::vector<std::uint64_t>& shape) const;
  Status read_transposed(const SafetensorsTensor& tensor, std::span<float> values) const;
  [[nodiscard]] std::optional<Digest> digest_of(const char* name) const;

  std::string path_;
  SafetensorsFile file_;
  std::map<std::string, const SafetensorsTensor*> tensors_;
};

Status Importer::index_names() {
  for (const SafetensorsTensor& tensor : file_.header().tensors) {
    std::string_view name = tensor.name;
    if (name.starts_with(kHuggingFacePrefix)) name.remove_prefix(kHuggingFacePrefix.size());
    if (!tensors_.emplace(name, &tensor).second) {
      return wrong(fmt::format("tensor {} is there with and without 'transformer.'", quoted_name(name)));
    }
  }
  return {};
}

Result<kernels::ModelConfig> Importer::model_of_tensors(int heads) const {
  const auto shape = [&](const char* name) {
    const auto found = tensors_.find(name);
    return found != tensors_.end() && found->second->shape.size() == 2 ? found->second->shape
                                                                       : std::vector<std::uint64_t>{};
  };
  if (tensors_.contains("model.embed_tokens.weight")) {
    return wrong("a Llama, whose shape config.json must give; there is none beside it");
  }
  const auto wte = shape("wte.weight"), wpe = shape("wpe.weight");
  if (wte.empty() || wpe.empty()) return wrong("no matrices wte.weight and wpe.weight: not a GPT-2");
  std::uint64_t layers = 0;
  while (tensors_.contains(fmt::format("h.{}.ln_1.weight", layers))) ++layers;
  for (const std::uint64_t extent : {wte[0], wte[1], wpe[0], layers}) {
    if (extent > std::uint64_t{1} << 30) return wrong(fmt::format("a model of extent {}", extent));
  }
  const kernels::ModelConfig model =
      kernels::Gpt2Shape{static_cast<int>(wte[0]), static_cast<int>(wpe[0]), static_cast<int>(layers), heads,
                         static_cast<int>(wte[1])};
  if (const auto invalid = model.validate()) return wrong(*invalid);
  return model;
}

Status Importer::choose_model(int heads, ModelFile& result) {
  const std::string config = config_beside(path_);
  if (!file_exists(config)) {
    if (heads == 0) return Error{ErrorCode::usage, path_ + ": no config.json beside it; give --heads N"};
    UFAB_ASSIGN(result.model, model_of_tensors(heads));
    return {};
  }
  UFAB_ASSIGN(result.model, load_config(config));
  result.config = config;
  if (heads == 0 || heads == result.model.heads) return {};
  return Error{
      ErrorCode::usage,
      fmt::format("--heads {}: {} says {} {}", heads, config,
                  result.model.family == kernels::ModelFamily::gpt2 ? "n_head" : "num_attention_heads",
                  result.model.heads)};
}

Status Importer::check_tensor(const SafetensorsTensor& tensor, const std::string& name,
                              const std::vector<std::uint64_t>& shape) const {
  if (tensor.shape != shape) {
    return wrong(fmt::format("tensor {} has shape {}, the model's is {}", quoted_name(name),
                             shape_text(tensor.shape), shape_text(shape)));
  }
  if (!tensor.readable()) {
    return wrong(
        fmt::format("tensor {} is {}; F32, F16 and BF16 can be read", quoted_name(name), tensor.dtype));
  }
  return {};
}

Status Importer::check_tensors(const kernels::ModelConfig& model) {
  std::set<std::string> known{kHuggingFaceHead};
  for (const HuggingFaceTensor& tensor : hugging_face_tensors(model)) {
    const auto found = tensors_.find(tensor.name);
    if (found == tensors_.end()) return wrong(fmt::format("tensor '{}' is missing", tensor.name));
    UFAB_TRY(check_tensor(*found->second, tensor.name, tensor.shape));
    known.insert(tensor.name);
  }
  if (const auto head = tensors_.find(kHuggingFaceHead); head != tensors_.end()) {
    UFAB_TRY(
        check_tensor(*head->second, kHuggingFaceHead, tensors_.at(hugging_face_embedding(model))->shape));
  }
  for (const auto& [name, tensor] : tensors_) {
    if (known.contains(name) || is_hugging_face_constant(name, model)) continue;
    return wrong(fmt::format("tensor {} is none of a {} of {} layers", quoted_name(name),
                             model.family == kernels::ModelFamily::gpt2 ? "GPT-2" : "Llama", model.layers));
  }
  return {};
}

Status Importer::read_transposed(const SafetensorsTensor& tensor, std::span<float> values) const {
  const std::size_t columns = tensor.shape[0], rows = tensor.shape[1];  // here: [rows][columns]
  const std::size_t step = std::max<std::size_t>(1, kPieceFloats / rows);
  std::vector<float> piece;
  for (std::size_t first = 0; first < columns; first += step) {
    piece.resize(std::min(step, columns - first) * rows);
    UFAB_TRY(file_.read(tensor, first * rows, piece));
    transpose_in(piece, rows, columns, first, values);
  }
  return {};
}

Status Importer::read(const kernels::ModelConfig& model, std::pmr::vector<float>& params) const {
  params.resize(kernels::model_parameter_count(model));
  for (const HuggingFaceTensor& wanted : hugging_face_tensors(model)) {
    const SafetensorsTensor& tensor = *tensors_.at(wanted.name);
    const auto values = std::span(params).subspan(wanted.offset, wanted.count);
    UFAB_TRY(wanted.transposed ? read_transposed(tensor, values) : file_.read(tensor, 0, values));
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
      return wrong(fmt::format("tensor '{}' holds a value that is not finite", wanted.name));
    }
  }
  return {};
}

Status Importer::check_tied_head(const kernels::ModelConfig& model, std::span<const float> embedding) const {
  const auto found = tensors_.find(kHuggingFaceHead);
  if (!model.tied || found == tensors_.end()) return {};
  std::vector<float> piece;
  for (std::size_t first = 0; first < embedding.size(); first += piece.size()) {
    piece.resize(std::min(kPieceFloats, embedding.size() - first));
    UFAB_TRY(file_.read(*found->second, first, piece));
    if (!std::equal(piece.begin(), piece.end(), embedding.begin() + static_cast<std::ptrdiff_t>(first))) {
      return wrong(fmt::format("{} differs from {}, to which the model's head is tied", kHuggingFaceHead,
                               hugging_face_embedding(model)));
    }
  }
  return {};
}

std::optional<Digest> Importer::digest_of(const char* name) const {
  const auto found = file_.header().metadata.find(name);
  if (found == file_.header().metadata.end()) return std::nullopt;
  const auto digest = Digest::parse(found->second);
  return digest.ok() ? std::optional(*digest) : std::nullopt;
}

Digest Importer::corpus() const {
  return digest_of(kCorpus).value_or(Digest{});
}

Status Importer::check_digest(const Digest& parameters) const {
  const auto named = digest_of(kParameters);
  const auto is_f32 = [](const SafetensorsTensor& tensor) { return tensor.dtype == "F32"; };
  const auto& list = file_.header().tensors;
  if (!named || *named == parameters || !std::all_of(list.begin(), list.end(), is_f32)) return {};
  return Error{ErrorCode::corrupt,
               fmt::format("{}: its metadata names the parameters {}, it holds {}: damaged, or changed by a "
                           "program that kept {}",
                           path_, named->str(), parameters.str(), kParameters)};
}

}  // namespace

Result<ModelFile> export_model(const std::string& path, const std::string& output) {
  const std::string config = config_beside(output);
  if (std::filesystem::path(output).filename() == "config.json") {
    return Error{ErrorCode::usage, output + ": this name is the model's configuration's"};
  }
  UFAB_ASSIGN(Checkpoint checkpoint, load_checkpoint(path));
  checkpoint.state.m = {};  // two thirds of the memory, checked and not needed any more
  checkpoint.state.v = {};
  const kernels::ModelConfig& model = checkpoint.info.model;
  UFAB_ASSIGN(const bool wanted, config_wanted(config, model));
  UFAB_TRY(write_weights(output, checkpoint));
  if (wanted) UFAB_TRY(write_file_atomic(config, as_bytes(hugging_face_config(model))));
  return ModelFile{model,
                   checkpoint.state.step,
                   kernels::model_parameters(model).size(),
                   checkpoint.state.params.size(),
                   checkpoint.info.digests.parameters,
                   config};
}

Result<ModelFile> import_model(const std::string& weights, const std::string& output, int heads) {
  UFAB_ASSIGN(SafetensorsFile file, SafetensorsFile::open(weights));
  Importer importer(weights, std::move(file));
  ModelFile result;
  UFAB_TRY(importer.index_names());
  UFAB_TRY(importer.choose_model(heads, result));
  UFAB_TRY(importer.check_tensors(result.model));
  Checkpoint checkpoint;
  checkpoint.info.model = result.model;
  checkpoint.info.corpus = importer.corpus();
  TrainState& state = checkpoint.state;
  UFAB_TRY(importer.read(result.model, state.params));
  const auto tensors = kernels::model_parameters(result.model);
  UFAB_TRY(importer.check_tied_head(result.model, std::span(state.params).first(tensors[0].count)));
  state.exponents.assign(tensors.size(), kernels::kFirstExponent);
  state.m.resize(state.params.size());
  state.v.resize(state.params.size());
  checkpoint.info.digests = state_digest(state);
  result.tensors = tensors.size();
  result.parameters = state.params.size();
  result.parameters_digest = checkpoint.info.digests.parameters;
  UFAB_TRY(importer.check_digest(result.parameters_digest));
  UFAB_TRY(save_checkpoint_alone(output, checkpoint));
  return result;
}

}  // namespace ufab
