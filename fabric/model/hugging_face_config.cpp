#include <fmt/format.h>

#include <boost/json.hpp>
#include <limits>
#include <optional>

#include "fabric/model/hugging_face.h"

namespace ufab {

namespace json = boost::json;

namespace {

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
  int size_or(const char* key, int otherwise) {
    const json::value* value = present(key);
    return value == nullptr ? otherwise : as_size(key, *value);
  }
  std::optional<kernels::ModelFamily> family() {
    const json::value* value = object_.if_contains("model_type");
    std::optional<kernels::ModelFamily> family;
    if (value != nullptr && value->is_string()) family = kernels::family_from_name(value->as_string());
    if (!family) {
      note(fmt::format("model_type is {}, this version computes \"gpt2\" and \"llama\"", shown(value)));
    }
    return family;
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
  bool flag_or(const char* key, bool otherwise) {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) return otherwise;
    if (!value->is_bool()) note(fmt::format("{} is {}, true or false is wanted", key, shown(value)));
    return value->is_bool() ? value->as_bool() : otherwise;
  }
  double number_or(const char* key, double otherwise) {
    const json::value* value = present(key);
    return value == nullptr ? otherwise : as_number(key, *value);
  }
  void number(const char* key, double wanted) {
    const json::value* value = present(key);
    if (value != nullptr && as_number(key, *value) != wanted) {
      note(fmt::format("{} is {}, this version computes {}", key, shown(value), wanted));
    }
  }
  // Of older files beside the rest, of newer ones in rope_parameters; scaled positions are another model.
  double rope_theta() {
    if (const json::value* scaling = present("rope_scaling")) {
      note(fmt::format("rope_scaling is {}, this version computes null", shown(scaling)));
    }
    const json::value* parameters = present("rope_parameters");
    if (parameters == nullptr) return number_or("rope_theta", 10000);
    if (!parameters->is_object()) {
      note(fmt::format("rope_parameters is {}, an object is wanted", shown(parameters)));
      return 0;
    }
    ConfigReader inside(parameters->as_object());
    inside.text("rope_type", "default", false);
    const double theta = inside.number_or("rope_theta", 10000);
    if (inside.wrong()) note("rope_parameters: " + *inside.wrong());
    return theta;
  }
  void inner(int width) {
    const json::value* value = present("n_inner");
    if (value == nullptr) return;
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
  // Null is as good as absent.
  [[nodiscard]] const json::value* present(const char* key) const {
    const json::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  double as_number(const char* key, const json::value& value) {
    json::error_code error;
    const double number = value.is_number() ? value.to_number<double>(error) : -1;
    if (!value.is_number() || error) {
      note(fmt::format("{} is {}, a number is wanted", key, shown(&value)));
    }
    return number;
  }
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

// A number that JSON readers take for a real one: 10000.0.
std::string decimal_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string gpt2_config_text(const kernels::ModelConfig& config) {
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

// What that library's LlamaForCausalLM writes of itself.
std::string llama_config_text(const kernels::ModelConfig& config) {
  return fmt::format(R"({{
  "architectures": ["LlamaForCausalLM"],
  "model_type": "llama",
  "num_hidden_layers": {},
  "num_attention_heads": {},
  "num_key_value_heads": {},
  "hidden_size": {},
  "intermediate_size": {},
  "head_dim": {},
  "max_position_embeddings": {},
  "vocab_size": {},
  "hidden_act": "silu",
  "rms_norm_eps": {},
  "rope_theta": {},
  "rope_scaling": null,
  "tie_word_embeddings": {},
  "attention_bias": false,
  "attention_dropout": 0.0,
  "mlp_bias": false,
  "bos_token_id": null,
  "eos_token_id": null,
  "torch_dtype": "float32"
}}
)",
                     config.layers, config.heads, config.kv_heads, config.width, config.hidden,
                     config.head_width(), config.context, config.vocab_size, config.norm_epsilon,
                     decimal_text(config.rope_theta), config.tied);
}

kernels::ModelConfig read_gpt2(ConfigReader& reader) {
  kernels::Gpt2Shape shape;
  shape.layers = reader.size("n_layer");
  shape.heads = reader.size("n_head");
  shape.width = reader.size("n_embd");
  shape.context = reader.size("n_positions", "n_ctx");
  shape.vocab_size = reader.size("vocab_size");
  reader.inner(shape.width);
  reader.text("activation_function", "gelu_new", false);
  reader.number("layer_norm_epsilon", 1e-5);
  reader.flag("scale_attn_weights", true);
  reader.flag("scale_attn_by_inverse_layer_idx", false);
  reader.flag("add_cross_attention", false);
  reader.flag("tie_word_embeddings", true);
  return shape;
}

kernels::ModelConfig read_llama(ConfigReader& reader) {
  kernels::LlamaShape shape;
  shape.layers = reader.size("num_hidden_layers");
  shape.heads = reader.size("num_attention_heads");
  shape.kv_heads = reader.size_or("num_key_value_heads", shape.heads);
  shape.width = reader.size("hidden_size");
  shape.hidden = reader.size("intermediate_size");
  shape.context = reader.size("max_position_embeddings");
  shape.vocab_size = reader.size("vocab_size");
  reader.text("hidden_act", "silu", false);
  shape.norm_epsilon = static_cast<float>(reader.number_or("rms_norm_eps", 1e-6));
  shape.rope_theta = reader.rope_theta();
  shape.tied = reader.flag_or("tie_word_embeddings", false);
  reader.flag("attention_bias", false);
  reader.flag("mlp_bias", false);
  if (shape.heads > 0) reader.number("head_dim", shape.width / shape.heads);
  return shape;
}

}  // namespace

std::string hugging_face_config(const kernels::ModelConfig& config) {
  return config.family == kernels::ModelFamily::gpt2 ? gpt2_config_text(config) : llama_config_text(config);
}

Result<kernels::ModelConfig> parse_hugging_face_config(std::string_view text) {
  json::error_code error;
  const json::value root = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !root.is_object()) return Error{ErrorCode::invalid, "not a JSON object in UTF-8"};
  ConfigReader reader(root.as_object());
  const auto family = reader.family();
  kernels::ModelConfig config;
  if (family) config = *family == kernels::ModelFamily::gpt2 ? read_gpt2(reader) : read_llama(reader);
  if (!reader.wrong()) {
    if (const auto wrong = config.validate()) reader.note(*wrong);
  }
  if (reader.wrong()) return Error{ErrorCode::invalid, *reader.wrong()};
  return config;
}

}  // namespace ufab
