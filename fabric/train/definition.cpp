#include "fabric/train/definition.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <variant>

#include "fabric/base/codec.h"
#include "fabric/base/file.h"
#include "fabric/base/toml.h"
#include "kernels/semantics.h"

namespace ufab {

namespace {

using Integer = std::int64_t JobDefinition::*;
using Real = double JobDefinition::*;
using Text = std::string JobDefinition::*;
using Flag = std::optional<bool> JobDefinition::*;

struct Field {
  const char* section;  // "" for the top level
  const char* name;
  std::variant<Integer, Real, Text, Flag> member;
  double min = 0, max = 0;  // inclusive
  enum class Use { optional, required, llama } use = Use::optional;

  [[nodiscard]] std::string key() const { return *section == 0 ? name : fmt::format("{}.{}", section, name); }
};

using D = JobDefinition;
constexpr auto kRequired = Field::Use::required, kLlama = Field::Use::llama;  // llama: of that family alone
const Field kFields[] = {
    {"", "precision", &D::precision},
    {"model", "family", &D::family},
    {"model", "layers", &D::layers, 1, 512, kRequired},
    {"model", "heads", &D::heads, 1, 512, kRequired},
    {"model", "width", &D::width, 1, 65536, kRequired},
    {"model", "context", &D::context, 1, 1 << 20, kRequired},
    {"model", "kv_heads", &D::kv_heads, 1, 512, kLlama},
    {"model", "hidden", &D::hidden, 1, 65536, kLlama},
    {"model", "rope_theta", &D::rope_theta, 1, 1e9, kLlama},
    {"model", "norm_epsilon", &D::norm_epsilon, 1e-12, 1, kLlama},
    {"model", "tied", &D::tied, 0, 0, kLlama},
    {"model", "init_digest", &D::init_digest},
    {"data", "corpus", &D::corpus},
    {"data", "eval_fraction", &D::eval_fraction, 0.0, 0.5},
    {"train", "steps", &D::steps, 1, 100'000'000, kRequired},
    {"train", "micro_batch", &D::micro_batch, 1, 4096},
    {"train", "micro_batches", &D::micro_batches, 1, kMicroBatchesMax},
    {"train", "seq_len", &D::seq_len, 0, 1 << 20},
    {"train", "learning_rate", &D::learning_rate, 0, 10},
    {"train", "min_learning_rate", &D::min_learning_rate, 0, 10},
    {"train", "warmup_steps", &D::warmup_steps, 0, 100'000'000},
    {"train", "beta1", &D::beta1, 0, 0.999999},
    {"train", "beta2", &D::beta2, 0, 0.999999},
    {"train", "epsilon", &D::epsilon, 1e-30, 1},
    {"train", "weight_decay", &D::weight_decay, 0, 10},
    {"train", "grad_clip", &D::grad_clip, 0, 1e6},
    {"train", "seed", &D::seed, 0, 9'007'199'254'740'992.0},
    {"train", "format", &D::format},
    {"train", "window", &D::window, 1, 1'000'000},
    {"train", "eval_every", &D::eval_every, 0, 100'000'000},
    {"train", "eval_batches", &D::eval_batches, 1, 65536},
};

const Field* find_field(std::string_view key) {
  for (const Field& field : kFields) {
    if (field.key() == key) return &field;
  }
  return nullptr;
}

std::string known_keys(std::string_view section) {
  std::string list;
  for (const Field& field : kFields) {
    if (field.section == section) list += fmt::format("{}{}", list.empty() ? "" : ", ", field.name);
  }
  return list;
}

// Sets one value; nullopt, or what is wrong with it.
std::optional<std::string> assign(JobDefinition& definition, const Field& field, const toml::node& value) {
  const std::string key = field.key();
  double number = 0;
  if (const auto* text = std::get_if<Text>(&field.member)) {
    if (!value.is_string()) return fmt::format("{} must be text in quotes", key);
    definition.*(*text) = value.as_string()->get();
    return std::nullopt;
  }
  if (const auto* flag = std::get_if<Flag>(&field.member)) {
    if (!value.is_boolean()) return fmt::format("{} must be true or false", key);
    definition.*(*flag) = value.as_boolean()->get();
    return std::nullopt;
  }
  if (const auto* integer = std::get_if<Integer>(&field.member)) {
    if (!value.is_integer()) return fmt::format("{} must be a whole number", key);
    definition.*(*integer) = value.as_integer()->get();
    number = static_cast<double>(value.as_integer()->get());
  } else {
    if (!value.is_number()) return fmt::format("{} must be a number", key);
    number = *value.value<double>();
    definition.*std::get<Real>(field.member) = number;
  }
  if (!(number >= field.min && number <= field.max)) {
    return fmt::format("{} is {}; {} to {} is possible", key, number, field.min, field.max);
  }
  return std::nullopt;
}

bool is_llama(const JobDefinition& d) {
  return d.family == kernels::family_name(kernels::ModelFamily::llama);
}

// The family's keys: what was left out gets its value, what is another family's is refused. `given`: the keys
// that the definition has.
std::optional<std::string> complete_model(JobDefinition& d, const std::vector<std::string>& given) {
  if (!kernels::family_from_name(d.family)) {
    return fmt::format("model.family is '{}'; gpt2 and llama are possible", d.family);
  }
  for (const Field& field : kFields) {
    const bool is_given = std::find(given.begin(), given.end(), field.key()) != given.end();
    if (field.use == kLlama && is_given && !is_llama(d)) {
      return fmt::format("{} is of the family llama, model.family is '{}'", field.key(), d.family);
    }
  }
  if (!is_llama(d)) return std::nullopt;
  if (d.kv_heads == 0) d.kv_heads = d.heads;
  if (d.hidden == 0) d.hidden = ((8 * d.width + 2) / 3 + 31) / 32 * 32;
  if (d.rope_theta == 0) d.rope_theta = 10000;
  if (d.norm_epsilon == 0) d.norm_epsilon = 1e-5;
  d.tied = d.tied.value_or(false);
  return std::nullopt;
}

// Precision and format say the same: what was left out follows the other.
std::optional<std::string> complete_precision(JobDefinition& d, const std::vector<std::string>& given) {
  const auto is_given = [&](const char* key) {
    return std::find(given.begin(), given.end(), key) != given.end();
  };
  if (d.precision != "exact" && d.precision != "fast") {
    return fmt::format("precision is '{}'; exact and fast are possible", d.precision);
  }
  if (!is_given("train.format") && !d.is_exact()) d.format = format_name(kernels::MatmulFormat::bf16);
  const auto format = kernels::format_from_name(d.format);
  if (!format) return fmt::format("train.format is '{}'; f32, int12, int8 and bf16 are possible", d.format);
  if (!is_given("precision")) d.precision = is_exact(*format) ? "exact" : "fast";
  if (d.is_exact() != is_exact(*format)) {
    return fmt::format("precision is '{}', but train.format '{}' is {}: leave one of them out, or change it",
                       d.precision, d.format, is_exact(*format) ? "exact" : "not exact");
  }
  return std::nullopt;
}

// Rules between keys.
std::optional<std::string> check(JobDefinition& d, const std::vector<std::string>& given) {
  if (const auto wrong = complete_precision(d, given)) return *wrong;
  if (const auto wrong = complete_model(d, given)) return *wrong;
  if (!d.init_digest.empty() && !Digest::parse(d.init_digest).ok()) {
    return fmt::format(
        "model.init_digest is '{}'; sha256: and 64 hexadecimal digits are wanted, as `ufab model import` "
        "prints",
        d.init_digest);
  }
  if (d.seq_len == 0) d.seq_len = d.context;
  if (d.seq_len > d.context) {
    return fmt::format("train.seq_len is {}, more than model.context {}", d.seq_len, d.context);
  }
  if (d.min_learning_rate > d.learning_rate) {
    return fmt::format("train.min_learning_rate {} is above train.learning_rate {}", d.min_learning_rate,
                       d.learning_rate);
  }
  if (d.warmup_steps > d.steps) {
    return fmt::format("train.warmup_steps {} is more than train.steps {}", d.warmup_steps, d.steps);
  }
  if (d.micro_batch * d.seq_len > (1 << 24)) {
    return fmt::format("a micro-batch of {} sequences of {} tokens is over {} tokens", d.micro_batch,
                       d.seq_len, 1 << 24);
  }
  if (const auto wrong = d.model(256).validate()) return *wrong;
  return std::nullopt;
}

std::string place(const std::string& name, const toml::source_region& region) {
  return fmt::format("{}:{}", name, region.begin.line);
}

Status read_table(const toml::table& table, const std::string& section, const std::string& name,
                  JobDefinition& definition, std::vector<std::string>& seen) {
  for (const auto& [key_object, node] : table) {
    const std::string key(key_object.str());
    const std::string full = section.empty() ? key : fmt::format("{}.{}", section, key);
    if (section.empty() && node.is_table() && !known_keys(key).empty()) {
      UFAB_TRY(read_table(*node.as_table(), key, name, definition, seen));
      continue;
    }
    const Field* field = find_field(full);
    if (field == nullptr) {
      return Error{
          ErrorCode::invalid,
          fmt::format("{}: unknown key '{}'; known here: {}", place(name, key_object.source()), full,
                      section.empty() ? "precision, [model], [data], [train]" : known_keys(section))};
    }
    if (const auto wrong = assign(definition, *field, node)) {
      return Error{ErrorCode::invalid, fmt::format("{}: {}", place(name, node.source()), *wrong)};
    }
    seen.push_back(full);
  }
  return {};
}

Status apply_override(const std::string& key, const std::string& value, JobDefinition& definition,
                      std::vector<std::string>& seen) {
  const Field* field = find_field(key);
  if (field == nullptr) return Error{ErrorCode::usage, fmt::format("unknown setting '{}'", key)};
  std::optional<std::string> wrong;
  if (std::holds_alternative<Text>(field->member)) {
    wrong = assign(definition, *field, toml::value<std::string>(value));
  } else {
    try {
      const toml::table table = toml::parse(fmt::format("value = {}", value));
      wrong = table.size() == 1 ? assign(definition, *field, *table.get("value"))
                                : fmt::format("{} must be one value", key);
    } catch (const std::exception&) {  // toml::parse_error, or see fabric/base/toml_config.h
      wrong = fmt::format("{} must be {}, not '{}'", key,
                          std::holds_alternative<Flag>(field->member) ? "true or false" : "a number", value);
    }
  }
  if (wrong) return Error{ErrorCode::usage, *wrong};
  seen.push_back(key);
  return {};
}

}  // namespace

kernels::ModelConfig JobDefinition::model(std::uint32_t vocab_size) const {
  const auto vocabulary = static_cast<int>(vocab_size);
  if (!is_llama(*this)) {
    return kernels::Gpt2Shape{vocabulary, static_cast<int>(context), static_cast<int>(layers),
                              static_cast<int>(heads), static_cast<int>(width)};
  }
  return kernels::LlamaShape{.vocab_size = vocabulary,
                             .context = static_cast<int>(context),
                             .layers = static_cast<int>(layers),
                             .heads = static_cast<int>(heads),
                             .kv_heads = static_cast<int>(kv_heads),
                             .width = static_cast<int>(width),
                             .hidden = static_cast<int>(hidden),
                             .norm_epsilon = static_cast<float>(norm_epsilon),
                             .rope_theta = rope_theta,
                             .tied = tied.value_or(false)};
}

namespace {

Result<JobDefinition> read_definition(std::string_view text, const std::string& name,
                                      const DefinitionOverrides& overrides) {
  JobDefinition definition;
  std::vector<std::string> seen;
  try {
    UFAB_TRY(read_table(toml::parse(text, name), "", name, definition, seen));
  } catch (const toml::parse_error& error) {
    return Error{ErrorCode::invalid,
                 fmt::format("{}: {}", place(name, error.source()), std::string(error.description()))};
  } catch (const std::logic_error& error) {  // fabric/base/toml_config.h
    return Error{ErrorCode::invalid, fmt::format("{}: not TOML: {}", name, error.what())};
  }
  if (!definition.corpus.empty()) {
    const auto folder = std::filesystem::path(name).parent_path();
    definition.corpus = (folder / definition.corpus).string();
  }
  for (const auto& [key, value] : overrides) UFAB_TRY(apply_override(key, value, definition, seen));
  for (const Field& field : kFields) {
    if (field.use == kRequired && std::find(seen.begin(), seen.end(), field.key()) == seen.end()) {
      return Error{ErrorCode::invalid, fmt::format("{}: {} is missing", name, field.key())};
    }
  }
  if (const auto wrong = check(definition, seen))
    return Error{ErrorCode::invalid, fmt::format("{}: {}", name, *wrong)};
  return definition;
}

}  // namespace

Result<JobDefinition> parse_definition(std::string_view text, const std::string& name,
                                       const DefinitionOverrides& overrides) {
  auto definition = read_definition(text, name, overrides);
  if (definition.ok()) return definition;
  // Messages quote keys and text of the input, which may hold line ends.
  Error error = definition.error();
  std::replace_if(
      error.message.begin(), error.message.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return error;
}

Result<JobDefinition> load_definition(const std::string& path, const DefinitionOverrides& overrides) {
  UFAB_ASSIGN(const std::string text, read_text_file(path, 1 << 20));
  return parse_definition(text, path, overrides);
}

namespace {

template <class T>
std::string value_text(const T& value) {
  return fmt::format("{}", value);
}
std::string value_text(const std::optional<bool>& flag) {
  return flag.value_or(false) ? "true" : "false";
}

}  // namespace

Digest definition_digest(const JobDefinition& definition, const Digest& corpus) {
  Writer writer;
  writer.text("ufab.definition/1");
  writer.u32(kernels::kSemanticsVersion);
  writer.raw(corpus.view());
  for (const Field& field : kFields) {
    if (field.key() == "data.corpus") continue;
    if (field.key() == "model.init_digest" && definition.init_digest.empty()) continue;
    if (field.use == kLlama && !is_llama(definition)) continue;
    writer.text(field.key());
    writer.text(std::visit([&](auto member) { return value_text(definition.*member); }, field.member));
  }
  return sha256(writer.bytes());
}

}  // namespace ufab
