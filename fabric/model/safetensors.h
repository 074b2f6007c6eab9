// safetensors: named tensors in one file, the form in which Hugging Face's libraries exchange weights.
//
// The format is theirs (section "Format" of the safetensors project's README):
//   u64 length of the header, little-endian; the header; the data.
//   header  UTF-8 JSON, at most 100 MB, begins with '{' and may end in spaces:
//           {"__metadata__": {TEXT: TEXT, ...},
//            NAME: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//   data    each tensor, row-major and little-endian, at its data_offsets [begin, end) from the data's start
// No name occurs twice; the tensors cover the data without gap or overlap; the metadata may be absent.
// Bounds of ours beside that: 65,536 tensors of at most 8 dimensions, names of at most 1,024 bytes.
//
// Written is F32 only, the header in canonical form: metadata by name, tensors in the order of their data, no
// space between JSON's tokens, spaces at the end until the data begins at a multiple of 8. Read are F32, F16
// and BF16. What breaks a rule is ErrorCode::invalid and one line.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/file.h"

namespace ufab {

inline constexpr std::uint64_t kSafetensorsHeaderMax = 100'000'000;  // bytes, the format's own bound
inline constexpr std::size_t kSafetensorsTensorsMax = 65'536, kSafetensorsDimensionsMax = 8,
                             kSafetensorsNameMax = 1'024;

struct SafetensorsTensor {
  std::string name;
  std::string dtype = "F32";
  std::vector<std::uint64_t> shape;  // empty: one number
  std::uint64_t begin = 0, end = 0;  // bytes of the data

  friend bool operator==(const SafetensorsTensor&, const SafetensorsTensor&) = default;
  // Elements. Precondition: the shape of a decoded tensor, which does not overflow.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] bool readable() const { return dtype == "F32" || dtype == "F16" || dtype == "BF16"; }
};

using SafetensorsMetadata = std::map<std::string, std::string>;

struct SafetensorsHeader {
  SafetensorsMetadata metadata;
  std::vector<SafetensorsTensor> tensors;  // in the order of their data

  friend bool operator==(const SafetensorsHeader&, const SafetensorsHeader&) = default;
};

// The header's length from the first 8 bytes (fewer: the file has no more) of a file of `file_size` bytes.
[[nodiscard]] Result<std::uint64_t> decode_safetensors_length(ByteView first, std::uint64_t file_size);
// `data_size`: bytes of the file behind the header.
[[nodiscard]] Result<SafetensorsHeader> decode_safetensors_header(std::string_view header,
                                                                  std::uint64_t data_size);
// With the eight bytes of its length in front.
[[nodiscard]] std::string encode_safetensors_header(const SafetensorsHeader& header);

// As messages show them: "[2, 3]", and a name of the file in quotes, on one line and cut at 80 bytes.
[[nodiscard]] std::string shape_text(std::span<const std::uint64_t> shape);
[[nodiscard]] std::string quoted_name(std::string_view name);

// A file open for reading; its header is checked, its data is read when asked for. Thread-safe once open.
class SafetensorsFile {
 public:
  [[nodiscard]] static Result<SafetensorsFile> open(const std::string& path);
  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  ~SafetensorsFile();

  [[nodiscard]] const SafetensorsHeader& header() const { return header_; }
  // Elements [first, first + into.size()) of one of the header's tensors. Preconditions: readable() and
  // inside.
  [[nodiscard]] Status read(const SafetensorsTensor& tensor, std::uint64_t first,
                            std::span<float> into) const;

 private:
  SafetensorsFile() = default;
  [[nodiscard]] Status read_bytes(std::uint64_t at, std::span<std::uint8_t> into) const;

  int fd_ = -1;
  std::string path_;
  std::uint64_t data_at_ = 0;
  SafetensorsHeader header_;
};

// Writes a file piece by piece; see NewFile for what a crash leaves. Not thread-safe.
class SafetensorsWriter {
 public:
  // Of each tensor only name and shape are taken; the data follows in this order, as F32.
  [[nodiscard]] static Result<SafetensorsWriter> create(const std::string& path, SafetensorsMetadata metadata,
                                                        std::vector<SafetensorsTensor> tensors);
  [[nodiscard]] Status append(std::span<const float> values);
  // Precondition: all data was appended, no more.
  [[nodiscard]] Status finish();

 private:
  SafetensorsWriter(NewFile file, std::uint64_t left) : file_(std::move(file)), left_(left) {}
  NewFile file_;
  std::uint64_t left_;  // bytes to come
};

}  // namespace ufab
