#include "fabric/model/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <boost/json.hpp>
#include <boost/json/basic_parser_impl.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

namespace ufab {

namespace json = boost::json;

namespace {

static_assert(std::endian::native == std::endian::little, "the file's numbers are little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kPieceFloats = std::size_t{1} << 16;  // what a conversion holds at once
constexpr const char* kMetadata = "__metadata__";

struct DataType {
  const char* name;
  std::uint64_t bytes;
};
// Types of less than a byte, which later versions of the format name, are unknown here.
constexpr DataType kDataTypes[] = {{"F32", 4},     {"F16", 2},    {"BF16", 2}, {"F64", 8}, {"I64", 8},
                                   {"I32", 4},     {"I16", 2},    {"I8", 1},   {"U64", 8}, {"U32", 4},
                                   {"U16", 2},     {"U8", 1},     {"BOOL", 1}, {"C64", 8}, {"F8_E5M2", 1},
                                   {"F8_E4M3", 1}, {"F8_E8M0", 1}};

Error invalid(const std::string& message) {
  return {ErrorCode::invalid, message};
}

std::optional<std::uint64_t> element_bytes(const std::string& dtype) {
  for (const DataType& type : kDataTypes) {
    if (dtype == type.name) return type.bytes;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// Builds the header from the parser's events: a tree of values would lose names that occur twice, and could
// take many times the header's size.
class HeaderHandler {
 public:
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Code = json::error_code;

  SafetensorsHeader header;
  std::string wrong;  // what the header breaks; empty when only JSON itself was broken

  static bool on_document_begin(Code&) { return true; }
  static bool on_document_end(Code&) { return true; }

  bool on_object_begin(Code& code) {
    switch (place_) {
      case Place::before: place_ = Place::top; return true;
      case Place::top: return begin_value(code);
      default: return fail(code, "an object where none belongs");
    }
  }
  bool on_object_end(std::size_t, Code& code) {
    if (place_ == Place::entry && !end_tensor(code)) return false;
    place_ = place_ == Place::top ? Place::after : Place::top;
    return true;
  }
  bool on_array_begin(Code& code) {
    if (place_ != Place::entry || (key_ != "shape" && key_ != "data_offsets")) {
      return fail(code, "an array where none belongs");
    }
    place_ = key_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }
  bool on_array_end(std::size_t, Code&) {
    place_ = Place::entry;
    return true;
  }

  bool on_key_part(json::string_view part, std::size_t, Code&) { return add_text(part); }
  bool on_key(json::string_view part, std::size_t, Code& code) {
    add_text(part);
    key_ = std::exchange(text_, {});
    if (place_ == Place::entry && key_ != "dtype" && key_ != "shape" && key_ != "data_offsets") {
      return fail(code, "unknown field " + quoted_name(key_));
    }
    auto& seen = place_ == Place::top ? names_ : fields_;
    if (!seen.insert(key_).second) return fail(code, quoted_name(key_) + " occurs twice");
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, Code&) { return add_text(part); }
  bool on_string(json::string_view part, std::size_t, Code& code) {
    add_text(part);
    std::string value = std::exchange(text_, {});
    if (place_ == Place::metadata) {
      header.metadata.emplace(key_, std::move(value));
      return true;
    }
    if (place_ != Place::entry || key_ != "dtype") return fail(code, "text where none belongs");
    tensor_.dtype = std::move(value);
    return true;
  }

  static bool on_number_part(json::string_view, Code&) { return true; }
  bool on_int64(std::int64_t value, json::string_view text, Code& code) {
    if (value < 0) return fail(code, "a negative number");
    return on_uint64(static_cast<std::uint64_t>(value), text, code);
  }
  bool on_uint64(std::uint64_t value, json::string_view, Code& code) {
    if (place_ != Place::shape && place_ != Place::offsets) return fail(code, "a number where none belongs");
    auto& list = place_ == Place::shape ? tensor_.shape : offsets_;
    if (list.size() == kSafetensorsDimensionsMax) {
      return fail(code, fmt::format("more than {} numbers in {}", kSafetensorsDimensionsMax, key_));
    }
    list.push_back(value);
    return true;
  }
  bool on_double(double, json::string_view, Code& code) { return fail(code, "a number that is not whole"); }
  bool on_bool(bool, Code& code) { return fail(code, "true or false where none belongs"); }
  bool on_null(Code& code) { return fail(code, "null where none belongs"); }
  static bool on_comment_part(json::string_view, Code&) { return true; }
  static bool on_comment(json::string_view, Code&) { return true; }

 private:
  enum class Place { before, top, metadata, entry, shape, offsets, after };

  bool add_text(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool fail(Code& code, const std::string& what) {
    const bool inside = place_ == Place::entry || place_ == Place::shape || place_ == Place::offsets;
    wrong = inside ? fmt::format("tensor {}: {}", quoted_name(tensor_.name), what) : what;
    code = json::error::syntax;  // any code: it only stops the parser
    return false;
  }
  bool begin_value(Code& code) {
    fields_.clear();
    if (key_ == kMetadata) {
      place_ = Place::metadata;
      return true;
    }
    if (header.tensors.size() == kSafetensorsTensorsMax) {
      return fail(code, fmt::format("more than {} tensors", kSafetensorsTensorsMax));
    }
    if (key_.size() > kSafetensorsNameMax) {
      return fail(code, fmt::format("tensor {}: a name of {} bytes, at most {} are possible",
                                    quoted_name(key_), key_.size(), kSafetensorsNameMax));
    }
    tensor_ = {key_, {}, {}, 0, 0};
    offsets_.clear();
    place_ = Place::entry;
    return true;
  }
  bool end_tensor(Code& code) {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      if (!fields_.contains(field)) return fail(code, std::string(field) + " is missing");
    }
    if (offsets_.size() != 2 || offsets_[0] > offsets_[1]) {
      return fail(code, "data_offsets must be [begin, end] with begin <= end");
    }
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    header.tensors.push_back(std::move(tensor_));
    return true;
  }

  Place place_ = Place::before;
  std::string text_, key_;
  std::set<std::string> names_, fields_;
  SafetensorsTensor tensor_;
  std::vector<std::uint64_t> offsets_;
};

// dtype and shape make the tensor's bytes.
std::optional<std::string> check_size(const SafetensorsTensor& tensor) {
  std::optional<std::uint64_t> bytes = element_bytes(tensor.dtype);
  if (!bytes) return "unknown dtype " + quoted_name(tensor.dtype);
  for (const std::uint64_t extent : tensor.shape) {
    bytes = multiply(*bytes, extent);
    if (!bytes) return "the shape " + shape_text(tensor.shape) + " overflows";
  }
  if (*bytes == tensor.end - tensor.begin) return std::nullopt;
  return fmt::format("{} of shape {} takes {} bytes, its data_offsets hold {}", tensor.dtype,
                     shape_text(tensor.shape), *bytes, tensor.end - tensor.begin);
}

// Sorts by place in the data, which the tensors must cover exactly.
Status check_layout(std::vector<SafetensorsTensor>& tensors, std::uint64_t data_size) {
  for (const SafetensorsTensor& tensor : tensors) {
    if (const auto wrong = check_size(tensor)) {
      return invalid(fmt::format("tensor {}: {}", quoted_name(tensor.name), *wrong));
    }
  }
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t covered = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    if (tensor.begin != covered) {
      return invalid(fmt::format("tensor {}: its data begins at {}, {} {}", quoted_name(tensor.name),
                                 tensor.begin,
                                 tensor.begin < covered ? "inside the one before, which ends at"
                                                        : "leaving a gap after the one before, which ends at",
                                 covered));
    }
    if (tensor.end > data_size) {
      return invalid(fmt::format("tensor {}: its data ends at {}, the file's data at {}: truncated",
                                 quoted_name(tensor.name), tensor.end, data_size));
    }
    covered = tensor.end;
  }
  if (covered != data_size) {
    return invalid(fmt::format("{} bytes behind the last tensor", data_size - covered));
  }
  return {};
}

// IEEE 754 binary16 to binary32, exact.
float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits} >> 15 << 31, exponent = (bits >> 10) & 31U;
  const std::uint32_t fraction = bits & 1023U;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

Error system_error(const std::string& path) {
  return {errno == ENOENT ? ErrorCode::not_found : ErrorCode::io, path + ": " + std::strerror(errno)};
}

}  // namespace

std::uint64_t SafetensorsTensor::count() const {
  std::uint64_t product = 1;
  for (const std::uint64_t extent : shape) product *= extent;
  return product;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// One line of bounded length, whatever the name holds; its UTF-8 was checked.
std::string quoted_name(std::string_view name) {
  constexpr std::size_t kShown = 80;
  std::size_t size = std::min(name.size(), kShown);
  while (size < name.size() && size > 0 && (static_cast<unsigned char>(name[size]) & 0xC0U) == 0x80U) --size;
  std::string text(name.substr(0, size));
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return fmt::format("'{}{}'", text, size < name.size() ? "..." : "");
}

Result<std::uint64_t> decode_safetensors_length(ByteView first, std::uint64_t file_size) {
  if (first.size() < kLengthBytes) {
    return invalid(fmt::format("{} bytes: too short for a safetensors file", file_size));
  }
  std::uint64_t length = 0;
  std::memcpy(&length, first.data(), kLengthBytes);
  if (length > kSafetensorsHeaderMax) {
    return invalid(fmt::format("not a safetensors file: a header of {} bytes, at most {} are possible",
                               length, kSafetensorsHeaderMax));
  }
  if (length > file_size - kLengthBytes) {
    return invalid(fmt::format("truncated: a header of {} bytes in a file of {}", length, file_size));
  }
  return length;
}

Result<SafetensorsHeader> decode_safetensors_header(std::string_view text, std::uint64_t data_size) {
  if (!text.starts_with('{')) return invalid("not a safetensors file: its header does not begin with '{'");
  json::basic_parser<HeaderHandler> parser(json::parse_options{});
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  HeaderHandler& handler = parser.handler();
  if (!handler.wrong.empty()) return invalid("header: " + handler.wrong);
  if (error) return invalid("the header is not JSON in UTF-8: " + error.message());
  if (text.find_first_not_of(' ', used) != std::string_view::npos) {
    return invalid("header: more than one JSON object");
  }
  UFAB_TRY(check_layout(handler.header.tensors, data_size));
  return std::move(handler.header);
}

std::string encode_safetensors_header(const SafetensorsHeader& header) {
  json::object object;
  if (!header.metadata.empty()) {
    json::object metadata;
    for (const auto& [name, value] : header.metadata) metadata[name] = value;
    object[kMetadata] = std::move(metadata);
  }
  for (const SafetensorsTensor& tensor : header.tensors) {
    object[tensor.name] = json::object{{"dtype", tensor.dtype},
                                       {"shape", json::array(tensor.shape.begin(), tensor.shape.end())},
                                       {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = json::serialize(object);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + text;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (file.fd_ < 0 || ::fstat(file.fd_, &info) != 0) return system_error(path);
  if (!S_ISREG(info.st_mode)) return invalid(path + ": not a file");
  const auto size = static_cast<std::uint64_t>(info.st_size);

  Bytes first(std::min<std::uint64_t>(size, kLengthBytes));
  UFAB_TRY(file.read_bytes(0, first));
  const auto length = decode_safetensors_length(first, size);
  if (!length) return length.error().within(path);
  Bytes text(*length);
  UFAB_TRY(file.read_bytes(kLengthBytes, text));
  file.data_at_ = kLengthBytes + *length;
  auto header = decode_safetensors_header(as_text(text), size - file.data_at_);
  if (!header) return header.error().within(path);
  file.header_ = std::move(*header);
  return file;
}

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      data_at_(other.data_at_),
      header_(std::move(other.header_)) {}

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(data_at_, other.data_at_);
  std::swap(header_, other.header_);
  return *this;
}

SafetensorsFile::~SafetensorsFile() {
  if (fd_ >= 0) ::close(fd_);
}

Status SafetensorsFile::read_bytes(std::uint64_t at, std::span<std::uint8_t> into) const {
  while (!into.empty()) {
    const ssize_t got = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path_);
    if (got == 0) return invalid(path_ + ": became shorter while it was read");
    into = into.subspan(static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

Status SafetensorsFile::read(const SafetensorsTensor& tensor, std::uint64_t first,
                             std::span<float> into) const {
  UFAB_ASSERT(tensor.readable() && first <= tensor.count() && into.size() <= tensor.count() - first);
  const std::uint64_t begin = data_at_ + tensor.begin;
  if (tensor.dtype == "F32") {
    return read_bytes(begin + first * sizeof(float),
                      {reinterpret_cast<std::uint8_t*>(into.data()), into.size_bytes()});
  }
  const auto widen = tensor.dtype == "F16" ? from_f16 : from_bf16;
  std::vector<std::uint16_t> piece;
  while (!into.empty()) {
    piece.resize(std::min(into.size(), kPieceFloats));
    UFAB_TRY(
        read_bytes(begin + first * 2, {reinterpret_cast<std::uint8_t*>(piece.data()), piece.size() * 2}));
    std::transform(piece.begin(), piece.end(), into.begin(), widen);
    into = into.subspan(piece.size());
    first += piece.size();
  }
  return {};
}

Result<SafetensorsWriter> SafetensorsWriter::create(const std::string& path, SafetensorsMetadata metadata,
                                                    std::vector<SafetensorsTensor> tensors) {
  SafetensorsHeader header{std::move(metadata), std::move(tensors)};
  std::uint64_t at = 0;
  for (SafetensorsTensor& tensor : header.tensors) {
    tensor.dtype = "F32";
    tensor.begin = at;
    tensor.end = at += tensor.count() * sizeof(float);
  }
  const std::string text = encode_safetensors_header(header);
  // What is written can be read: the writer's side of the format's bounds.
  UFAB_ASSERT(decode_safetensors_header(std::string_view(text).substr(kLengthBytes), at).ok());
  UFAB_ASSIGN(NewFile file, NewFile::create(path));
  UFAB_TRY(file.append(as_bytes(text)));
  return SafetensorsWriter(std::move(file), at);
}

Status SafetensorsWriter::append(std::span<const float> values) {
  UFAB_ASSERT(values.size_bytes() <= left_);
  left_ -= values.size_bytes();
  return file_.append({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
}

Status SafetensorsWriter::finish() {
  UFAB_ASSERT(left_ == 0);
  return file_.finish();
}

}  // namespace ufab
