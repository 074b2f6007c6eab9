// kernels-golden: one line per operator and shape, NAME SHAPE CHECKSUM, from one backend; or with --check
// FILE a comparison with the lines that are expected; --cases: of those alone whose names begin so. On any
// machine, backend and number of threads the lines
// are the same: that is the exactness contract (kernels/semantics.h). Exit status: 0 printed or all as
// expected, 1 something differs, 2 wrong usage, 77 this processor lacks the backend.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory_resource>
#include <string>
#include <vector>

#include "kernels/semantics.h"
#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {

GoldenCases golden_cases() {
  GoldenCases cases;
  add_matmul_cases(cases);
  add_row_cases(cases);
  add_sequence_cases(cases);
  add_optimizer_cases(cases);
  add_training_cases(cases);
  add_llama_cases(cases);
  return cases;
}

namespace {

constexpr int kDiffers = 1, kUsage = 2, kLacking = 77;

struct CommandLine {
  BackendKind backend = BackendKind::cpu;
  int threads = 1;
  std::string check, cases;
};

int usage() {
  std::fputs(("usage: kernels-golden [--backend NAME] [--threads N] [--check FILE] [--cases PREFIX]; NAME: " +
              backend_names() + "\n")
                 .c_str(),
             stderr);
  return kUsage;
}

bool parse(int argc, char** argv, CommandLine& line) {
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc) return false;
    const std::string value = argv[i + 1];
    if (option == "--backend") {
      const auto kind = backend_from_name(value);
      if (!kind) return false;
      line.backend = *kind;
    } else if (option == "--threads") {
      if (value.empty() || value.size() > 3 || value.find_first_not_of("0123456789") != std::string::npos) {
        return false;
      }
      line.threads = std::atoi(value.c_str());
      if (line.threads < 1 || line.threads > kMaxThreads) return false;
    } else if (option == "--check") {
      line.check = value;
    } else if (option == "--cases") {
      line.cases = value;
    } else {
      return false;
    }
  }
  return true;
}

std::string semantics_line() {
  return std::string("semantics ").append(std::to_string(kSemanticsVersion));
}

std::string result_line(const GoldenCase& golden, Backend& backend) {
  Inputs inputs(golden.name, golden.shape);
  Checksum results;
  golden.run(backend, inputs, results);
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016" PRIx64, results.value());
  return golden.name + " " + golden.shape + " " + digits;
}

void print_head() {
  std::printf(
      "# What every backend of kernels/ computes, as kernels-golden prints it: name, shape, checksum\n"
      "# (kernels/tools/checksum.h) of the results. A line may be added with a new case. A line may change, "
      "and\n"
      "# this file be made again by `kernels-golden --backend reference`, only in the commit that raises\n"
      "# kSemanticsVersion (kernels/semantics.h): jobs on record name the version that they were computed "
      "with.\n"
      "%s\n",
      semantics_line().c_str());
}

// The line of the semantics, then those of the cases whose names begin with `prefix`.
bool read_expected(const std::string& path, const std::string& prefix, std::vector<std::string>& lines) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (lines.empty() || line.starts_with(prefix)) lines.push_back(line);
  }
  return file.eof() && !lines.empty();
}

// Prints what differs. The lines must be the same in the same order: a missing case is a difference too.
int check(const std::string& path, const std::string& prefix, const GoldenCases& cases, Backend& backend) {
  std::vector<std::string> expected;
  if (!read_expected(path, prefix, expected)) {
    std::fprintf(stderr, "kernels-golden: %s: cannot be read\n", path.c_str());
    return kDiffers;
  }
  if (expected[0] != semantics_line()) {
    std::fprintf(stderr, "kernels-golden: %s is of '%s', these kernels of '%s': it is to be made again\n",
                 path.c_str(), expected[0].c_str(), semantics_line().c_str());
    return kDiffers;
  }
  std::size_t differences = expected.size() - 1 == cases.size() ? 0 : 1;
  if (differences != 0) std::printf("%zu lines, %zu cases\n", expected.size() - 1, cases.size());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::string got = result_line(cases[i], backend);
    const std::string wanted = i + 1 < expected.size() ? expected[i + 1] : "nothing";
    if (got == wanted) continue;
    ++differences;
    std::printf("expected %s\n     got %s\n", wanted.c_str(), got.c_str());
  }
  std::printf("%s, %d threads: %zu cases, %zu differences\n", backend_name(backend.kind()), backend.threads(),
              cases.size(), differences);
  return differences == 0 ? 0 : kDiffers;
}

int print(const GoldenCases& cases, Backend& backend) {
  print_head();
  for (const GoldenCase& golden : cases) std::printf("%s\n", result_line(golden, backend).c_str());
  return std::fflush(stdout) == 0 ? 0 : kDiffers;
}

int run(int argc, char** argv) {
  CommandLine line;
  if (!parse(argc, argv, line)) return usage();
  const auto backend = make_backend(line.backend, line.threads);
  if (backend == nullptr) {
    std::fprintf(stderr, "kernels-golden: %s\n", why_unavailable(line.backend).c_str());
    return kLacking;
  }
  std::pmr::set_default_resource(&backend->shared_memory());  // of the cases' vectors
  GoldenCases cases = golden_cases();
  std::erase_if(cases, [&](const GoldenCase& golden) { return !golden.name.starts_with(line.cases); });
  return line.check.empty() ? print(cases, *backend) : check(line.check, line.cases, cases, *backend);
}

}  // namespace
}  // namespace ufab::kernels

int main(int argc, char** argv) {
  return ufab::kernels::run(argc, argv);
}
