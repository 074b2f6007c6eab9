#include "fabric/model/hugging_face.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <limits>
#include <optional>

namespace ufab {

namespace json = boost::json;

namespace {

bool is_transposed(std::string_view name) {
  for (const char* layer : {".c_attn.weight", ".c_proj.weight", ".c_fc.weight"}) {
    if (name.ends_with(layer)) return true;
  }
  return false;
}

// Reads the keys of one config.json; keeps what is wrong first.
class ConfigReader {
 public:
  explicit ConfigReader(const json::object& object) : object_(object) {}

  int size(const char* key) {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) {
      note(fmt::format("{} is missing", key));
      return 0;
    }
    return as_size(key, *value);
  }
  // The first of two names that is there.
  int size(const char* key, const char* otherwise) {
    return size(object_.contains(key) || !object_.contains(otherwise) ? key : otherwise);
  }
  void text(const char* key, const char* wanted, bool needed) {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr ? needed : !value->is_string() || value->as_string() != wanted) {
      note(fmt::format("{} is {}, this version computes \"{}\"", key, shown(value), wanted));
    }
  }
  void flag(const char* key, bool wanted) {
    const json::value* value = object_.if_contains(key);
    if (value != nullptr && (!value->is_bool() || value->as_bool() != wanted)) {
      note(fmt::format("{} is {}, this version computes {}", key, shown(value), wanted));
    }
  }
  void number(const char* key, double wanted) {
    const json::value* value = object_.if_contains(key);
    json::error_code error;
    if (value == nullptr) return;
    const double number = value->is_number() ? value->to_number<double>(error) : -1;
    if (error || number != wanted) {
      note(fmt::format("{} is {}, this version computes {}", key, shown(value), wanted));
    }
  }
  void inner(int width) {
    const json::value* value = object_.if_contains("n_inner");
    if (value == nullptr || value->is_null()) return;
    const int inner = as_size("n_inner", *value);
    if (inner != 4 * static_cast<std::int64_t>(width)) {
      note(fmt::format("n_inner is {}, this version computes 4 * n_embd", inner));
    }
  }
  void note(const std::string& wrong) {
    if (!wrong_) wrong_ = wrong;
  }
  [[nodiscard]] const std::optional<std::string>& wrong() const { return wrong_; }

 private:
  int as_size(const char* key, const json::value& value) {
    json::error_code error;
    const auto number = value.is_number() ? value.to_number<std::int64_t>(error) : -1;
    if (error || number < 1 || number > std::numeric_limits<int>::max()) {
      note(fmt::format("{} is {}, a whole number from 1 is wanted", key, shown(&value)));
      return 0;
    }
    return static_cast<int>(number);
  }
  // Serialised JSON is one line: its strings escape control characters.
  static std::string shown(const json::value* value) {
    if (value == nullptr) return "missing";
    const std::string text = json::serialize(*value);
    return text.size() <= 60 ? text : "too long to show";
  }

  const json::object& object_;
  std::optional<std::string> wrong_;
};

}  // namespace

std::vector<HuggingFaceTensor> hugging_face_tensors(const kernels::ModelConfig& config) {
  std::vector<HuggingFaceTensor> tensors;
  for (const kernels::ParameterTensor& tensor : kernels::model_parameters(config)) {
    std::vector<std::uint64_t> shape(tensor.shape.begin(), tensor.shape.end());
    const bool transposed = is_transposed(tensor.name);
    if (transposed) std::swap(shape[0], shape[1]);
    tensors.push_back({tensor.name, std::move(shape), transposed, tensor.offset, tensor.count});
  }
  return tensors;
}

bool is_hugging_face_constant(std::string_view name, int layers) {
  for (const char* suffix : {".attn.bias", ".attn.masked_bias"}) {
    if (!name.ends_with(suffix)) continue;
    const std::string_view layer = name.substr(0, name.size() - std::string_view(suffix).size());
    for (int i = 0; i < layers; ++i) {
      if (layer == fmt::format("h.{}", i)) return true;
    }
  }
  return false;
}

std::string hugging_face_config(const kernels::ModelConfig& config) {
  // No dropout and no special tokens: that library's defaults are those of the published GPT-2.
  return fmt::format(R"({{
  "architectures": ["GPT2LMHeadModel"],
  "model_type": "gpt2",
  "n_layer": {},
  "n_head": {},
  "n_embd": {},
  "n_inner": null,
  "n_positions": {},
  "n_ctx": {},
  "vocab_size": {},
  "activation_function": "gelu_new",
  "layer_norm_epsilon": 1e-05,
  "tie_word_embeddings": true,
  "attn_pdrop": 0.0,
  "embd_pdrop": 0.0,
  "resid_pdrop": 0.0,
  "bos_token_id": null,
  "eos_token_id": null,
  "torch_dtype": "float32"
}}
)",
                     config.layers, config.heads, config.width, config.context, config.context,
                     config.vocab_size);
}

Result<kernels::ModelConfig> parse_hugging_face_config(std::string_view text) {
  json::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !root.is_object()) return Error{ErrorCode::invalid, "not a JSON object in UTF-8"};
  ConfigReader reader(root.as_object());
  reader.text("model_type", "gpt2", true);
  kernels::ModelConfig config;
  config.layers = reader.size("n_layer");
  config.heads = reader.size("n_head");
  config.width = reader.size("n_embd");
  config.context = reader.size("n_positions", "n_ctx");
  config.vocab_size = reader.size("vocab_size");
  reader.inner(config.width);
  reader.text("activation_function", "gelu_new", false);
  reader.number("layer_norm_epsilon", 1e-5);
  reader.flag("scale_attn_weights", true);
  reader.flag("scale_attn_by_inverse_layer_idx", false);
  reader.flag("add_cross_attention", false);
  reader.flag("tie_word_embeddings", true);
  if (!reader.wrong()) {
    if (const auto wrong = config.validate()) reader.note(*wrong);
  }
  if (reader.wrong()) return Error{ErrorCode::invalid, *reader.wrong()};
  return config;
}

void transpose_out(std::span<const float> matrix, std::size_t rows, std::size_t columns, std::size_t first,
                   std::span<float> piece) {
  const std::size_t count = piece.size() / rows;
  UFAB_ASSERT(matrix.size() == rows * columns && piece.size() % rows == 0 && first + count <= columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < count; ++c) piece[c * rows + r] = matrix[r * columns + first + c];
  }
}

void transpose_in(std::span<const float> piece, std::size_t rows, std::size_t columns, std::size_t first,
                  std::span<float> matrix) {
  const std::size_t count = piece.size() / rows;
  UFAB_ASSERT(matrix.size() == rows * columns && piece.size() % rows == 0 && first + count <= columns);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < count; ++c) matrix[r * columns + first + c] = piece[c * rows + r];
  }
}

}  // namespace ufab
