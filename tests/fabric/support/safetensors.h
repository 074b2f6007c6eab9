// Reading and writing of safetensors that shares nothing with the product's, for tests to hold it against.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "fabric/base/file.h"

namespace ufab::testing {

using Values = std::vector<double>;

// One tensor of a file, as the independent code sees it.
struct Tensor {
  std::string dtype, shape;  // shape as in JSON, "2,3"
  std::string bytes;
};
using Tensors = std::map<std::string, Tensor>;

inline std::string bytes_of(const std::string& path) {
  return std::string(as_text(*read_file(path, 1U << 30)));
}

inline Tensors read_independently(const std::string& path) {
  const std::string file = bytes_of(path);
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length * 256 + static_cast<unsigned char>(file[i]);
  const std::string header = file.substr(8, length);
  const std::regex entry(
      R"re("([^"]+)":\{"dtype":"(\w+)","shape":\[([0-9,]*)\],"data_offsets":\[(\d+),(\d+)\]\})re");
  Tensors tensors;
  for (std::sregex_iterator found(header.begin(), header.end(), entry), end; found != end; ++found) {
    const std::size_t begin = std::stoull((*found)[4]), stop = std::stoull((*found)[5]);
    tensors[(*found)[1]] = {(*found)[2], (*found)[3], file.substr(8 + length + begin, stop - begin)};
  }
  return tensors;
}

inline void write_independently(const std::string& path, const Tensors& tensors,
                                const std::string& metadata = "") {
  std::string header = "{" + metadata, data;
  for (const auto& [name, tensor] : tensors) {
    header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          header.size() > 1 ? ", " : "", name, tensor.dtype, tensor.shape, data.size(),
                          data.size() + tensor.bytes.size());
    data += tensor.bytes;
  }
  header += "}";
  std::ofstream file(path, std::ios::binary);
  for (int i = 0; i < 8; ++i) file << static_cast<char>(header.size() >> (8 * i) & 255U);
  file << header << data;
}

inline Tensor f32(const std::string& shape, const Values& values) {
  Tensor tensor{"F32", shape, {}};
  for (const double value : values) {
    const auto number = static_cast<float>(value);
    tensor.bytes.append(reinterpret_cast<const char*>(&number), 4);
  }
  return tensor;
}

inline Values values_of(const Tensor& tensor) {
  EXPECT_EQ(tensor.dtype, "F32");
  Values values;
  for (std::size_t at = 0; at < tensor.bytes.size(); at += 4) {
    float number = 0;
    std::memcpy(&number, tensor.bytes.data() + at, 4);
    values.push_back(static_cast<double>(number));
  }
  return values;
}

}  // namespace ufab::testing
