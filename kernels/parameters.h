// Where a model's tensors lie in its one parameter vector.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ufab::kernels {

struct ParameterTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  // in floats, into the parameter vector
  std::size_t count = 0;
  bool decay = false;  // AdamW's weight decay applies
};

}  // namespace ufab::kernels
