// Generic resources: the values of --gres, --gpus and its kin.
//
//   gres = item { "," item }        item = ["gres:"] NAME [ ":" TYPE ] [ ":" COUNT ]
//   gpus = item { "," item }        item = [ TYPE ":" ] COUNT | TYPE
//
// COUNT is a whole number and may carry K or M (powers of 1024); without one it is 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fabric/base/result.h"

namespace ufab::jobs {

struct GenericResource {
  std::string name;  // "gpu"
  std::string type;  // "a100"; empty: any
  std::uint64_t count = 1;
  friend bool operator==(const GenericResource&, const GenericResource&) = default;
};
using GenericResources = std::vector<GenericResource>;

// "none" gives an empty list. Naming a resource with and without a type is refused.
[[nodiscard]] Result<GenericResources> parse_gres(std::string_view text);
// The same for --gpus, --gpus-per-node, --gpus-per-socket and --gpus-per-task; the name is "gpu".
[[nodiscard]] Result<GenericResources> parse_gpus(std::string_view text);
// How many of `name` there are in all.
[[nodiscard]] std::uint64_t count_of(const GenericResources& resources, std::string_view name);

}  // namespace ufab::jobs
