// Runs a fuzz target without libFuzzer: over seeds made by the target's own encoders and many mutations of
// them, always the same ones. usage: PROGRAM frame|contributions RUNS
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>

#include "fabric/net/frame.h"
#include "fabric/train/contributions.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace ufab;

std::vector<Bytes> seeds(const char* target) {
  if (std::strcmp(target, "contributions") == 0) {
    const Contributions filled{3, 301, 2, 2, {{sha256("a"), {1, 2}}, {sha256("b"), {3, 4}}}};
    return {encode_contributions({}), encode_contributions(filled)};
  }
  std::vector<Bytes> frames;
  for (const std::uint32_t length : {0U, 1U, 100U, 4096U, 4097U}) {
    const auto header = encode_frame_header({7, 99, length});
    Bytes bytes(header.begin(), header.end());
    bytes.resize(bytes.size() + length, 5);
    frames.push_back(bytes);
    bytes.insert(bytes.end(), header.begin(), header.end());
    frames.push_back(bytes);
  }
  return frames;
}

void mutate(Bytes& bytes, std::mt19937_64& random) {
  const std::uint64_t changes = 1 + random() % 4;
  for (std::uint64_t i = 0; i < changes; ++i) {
    const std::size_t at = bytes.empty() ? 0 : random() % bytes.size();
    switch (random() % 5) {
      case 0: bytes.resize(at); break;
      case 1:
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
        break;
      case 2: bytes.resize(bytes.size() + random() % 64, 0xFF); break;
      default:
        if (!bytes.empty()) bytes[at] ^= static_cast<std::uint8_t>(1U << random() % 8);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s frame|contributions RUNS\n", argv[0]);
    return 2;
  }
  const auto inputs = seeds(argv[1]);
  std::mt19937_64 random(1);
  for (const Bytes& seed : inputs) LLVMFuzzerTestOneInput(seed.data(), seed.size());
  const long runs = std::atol(argv[2]);
  for (long run = 0; run < runs; ++run) {
    Bytes bytes = inputs[random() % inputs.size()];
    mutate(bytes, random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%ld runs\n", runs);
}
