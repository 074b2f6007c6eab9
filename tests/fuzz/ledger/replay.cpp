// Runs a fuzz target without libFuzzer, so that every test run exercises it: each seed file (hexadecimal) as
// it is, then mutated by a fixed generator. replay EXECUTIONS SEED…
#include <cstdio>
#include <cstdlib>
#include <random>

#include "fabric/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s EXECUTIONS SEED...\n", argv[0]);
    return 2;
  }
  const std::uint64_t executions = std::strtoull(argv[1], nullptr, 10);
  std::vector<ufab::Bytes> seeds;
  for (int i = 2; i < argc; ++i) {
    auto text = ufab::read_text_file(argv[i], 1 << 22);
    if (text.ok() && !text->empty()) text->pop_back();  // the newline
    const auto bytes = text.ok() ? ufab::from_hex(*text) : ufab::Result<ufab::Bytes>(text.error());
    if (!bytes.ok()) {
      std::fprintf(stderr, "%s: %s\n", argv[i], bytes.error().message.c_str());
      return 1;
    }
    (void)LLVMFuzzerTestOneInput(bytes->data(), bytes->size());
    seeds.push_back(*bytes);
  }
  std::mt19937_64 random(1);
  for (std::uint64_t n = 0; n < executions; ++n) {
    ufab::Bytes input = seeds[random() % seeds.size()];
    for (std::uint64_t change = random() % 4 + 1; change > 0 && !input.empty(); --change) {
      const std::size_t at = random() % input.size();
      switch (random() % 4) {
        case 0: input[at] = static_cast<std::uint8_t>(random()); break;
        case 1: input[at] ^= static_cast<std::uint8_t>(1U << random() % 8); break;
        case 2: input.resize(at); break;
        default:
          input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
      }
    }
    (void)LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
