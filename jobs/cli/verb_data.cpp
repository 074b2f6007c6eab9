// data pack: text files to a corpus.
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>

#include "fabric/data/corpus.h"
#include "jobs/cli/command_line.h"
#include "jobs/cli/verbs.h"

namespace ufab::jobs {

namespace {

VerbResult pack(const Invocation&, Words words) {
  std::vector<std::string> files;
  std::string output;
  std::uint64_t vocab = 256;
  bool as_json = false;
  CommandLine line(
      "data pack FILE… -o CORPUS.h5 [--vocab N]",
      "Packs text into a corpus: bytes, or with --vocab a sentencepiece BPE vocabulary of that size.");
  line.list("files", files, "text files, joined in this order", true);
  line.text("-o,--output", output, "the corpus to write");
  line.number("--vocab", vocab, "tokens of the vocabulary (default 256: bytes)");
  line.flag("--json", as_json, "one JSON object");
  UFAB_ASSIGN(const auto outcome, line.parse(words));
  if (outcome == CommandLine::Outcome::help_shown) return 0;
  if (output.empty()) return Error{ErrorCode::usage, "give -o CORPUS.h5"};
  if (vocab < 256 || vocab > 1'000'000) return Error{ErrorCode::usage, "--vocab: from 256 to 1000000"};
  PackOptions options;
  options.vocab_size = static_cast<std::uint32_t>(vocab);
  const bool terminal = ::isatty(2) == 1;
  if (terminal) {
    options.progress = [](const PackProgress& progress) {
      const double share = progress.total_bytes == 0 ? 1.0
                                                     : static_cast<double>(progress.done_bytes) /
                                                           static_cast<double>(progress.total_bytes);
      std::fprintf(stderr, "\r\033[K%s %.0f %%", progress.phase, share * 100.0);
    };
  }
  const auto info = pack_corpus(files, output, options);
  if (terminal) std::fputs("\r\033[K", stderr);
  if (!info) return info.error();
  if (as_json) {
    print_json({{"schema", "ufab.corpus/1"},
                {"path", output},
                {"digest", info->digest.str()},
                {"tokens", info->tokens},
                {"vocab_size", info->vocab_size},
                {"source_bytes", info->source_bytes},
                {"unigram_entropy_nats", info->unigram_entropy}});
    return 0;
  }
  std::printf("%s: %llu tokens of %u, %llu bytes of text, %s\n", output.c_str(),
              static_cast<unsigned long long>(info->tokens), info->vocab_size,
              static_cast<unsigned long long>(info->source_bytes), info->digest.str().c_str());
  std::printf("a model that knows only the tokens' frequencies has loss %.4f\n", info->unigram_entropy);
  return 0;
}

}  // namespace

VerbResult verb_data(const Invocation& invocation, Words words) {
  if (!words.empty() && words[0] == "pack") return pack(invocation, words.subspan(1));
  const char* usage = "usage: ufab data pack FILE… -o CORPUS.h5 [--vocab N]";
  if (!words.empty() && (words[0] == "--help" || words[0] == "-h")) {
    std::puts(usage);
    return 0;
  }
  return Error{ErrorCode::usage, usage};
}

}  // namespace ufab::jobs
