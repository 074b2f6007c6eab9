// Fuzz target: gang.json. A gang that parses is one that writing and parsing again leaves as it is.
#include "fabric/train/gang.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto gang = ufab::parse_gang({reinterpret_cast<const char*>(data), size}, "gang.json");
  if (!gang.ok()) {
    if (gang.error().message.find("gang.json") == std::string::npos) std::abort();
    return 0;
  }
  const std::string text = ufab::gang_json(*gang);
  const auto again = ufab::parse_gang(text, "gang.json");
  if (!again.ok() || ufab::gang_json(*again) != text) std::abort();
  if (gang->self >= gang->members.size() || gang->hub >= gang->members.size()) std::abort();
  (void)ufab::check_cover(*gang, 8);
  return 0;
}
