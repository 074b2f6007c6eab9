// Runs a fuzz target without libFuzzer, so that every test run exercises it: each seed as it is, then
// mutations of them by a fixed generator. A seed named *.hex is hexadecimal, any other is taken as it is.
// usage: replay EXECUTIONS SEED…
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "fabric/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace ufab;

Result<Bytes> read_seed(const std::string& path) {
  UFAB_ASSIGN(std::string text, read_text_file(path, 1 << 22));
  if (!path.ends_with(".hex")) return Bytes(text.begin(), text.end());
  if (text.ends_with('\n')) text.pop_back();
  return from_hex(text);
}

void mutate(Bytes& input, std::mt19937_64& random) {
  for (std::uint64_t change = random() % 4 + 1; change > 0; --change) {
    const std::size_t at = input.empty() ? 0 : random() % input.size();
    const auto here = input.begin() + static_cast<std::ptrdiff_t>(at);
    switch (random() % 6) {
      case 0: input.resize(at); break;
      case 1: input.insert(here, static_cast<std::uint8_t>(random())); break;
      case 2: input.resize(input.size() + random() % 64, 0xFF); break;
      case 3: {  // a piece again, elsewhere
        const Bytes piece(
            here, input.begin() + static_cast<std::ptrdiff_t>(std::min(input.size(), at + random() % 32)));
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(random() % (input.size() + 1)),
                     piece.begin(), piece.end());
        break;
      }
      case 4:
        if (!input.empty()) *here = static_cast<std::uint8_t>(random());
        break;
      default:
        if (!input.empty()) *here ^= static_cast<std::uint8_t>(1U << random() % 8);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s EXECUTIONS SEED...\n", argv[0]);
    return 2;
  }
  std::vector<Bytes> seeds;
  for (int i = 2; i < argc; ++i) {
    const auto seed = read_seed(argv[i]);
    if (!seed.ok()) {
      std::fprintf(stderr, "%s: %s\n", argv[i], seed.error().message.c_str());
      return 1;
    }
    (void)LLVMFuzzerTestOneInput(seed->data(), seed->size());
    seeds.push_back(*seed);
  }
  const std::uint64_t executions = std::strtoull(argv[1], nullptr, 10);
  std::mt19937_64 random(1);
  for (std::uint64_t n = 0; n < executions; ++n) {
    Bytes input = seeds[random() % seeds.size()];
    mutate(input, random);
    (void)LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
