#include "accounting/audit/witness.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "accounting/audit/light.h"
#include "fabric/base/file.h"

namespace ufab {

namespace {

constexpr std::string_view state_word = "ufab-witness/1";

struct LastHead {
  Digest chain_id;
  std::uint64_t height = 0;
  Digest hash;
};

std::string print(const LastHead& last) {
  return fmt::format("{} {} {} {}\n", state_word, last.chain_id.str(), last.height, last.hash.str());
}

Result<std::optional<LastHead>> read_state(const std::string& path) {
  if (!file_exists(path)) return std::optional<LastHead>{};
  UFAB_ASSIGN(const std::string text, read_text_file(path, 1024));
  std::vector<std::string_view> words;
  std::string_view rest = text;
  for (std::size_t end = rest.find_first_of(" \n"); end != std::string_view::npos;
       end = rest.find_first_of(" \n")) {
    words.push_back(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  LastHead last;
  if (words.size() == 4) {
    const auto chain = Digest::parse(words[1]), hash = Digest::parse(words[3]);
    std::from_chars(words[2].data(), words[2].data() + words[2].size(), last.height);
    if (chain.ok() && hash.ok()) {
      last.chain_id = *chain;
      last.hash = *hash;
      if (print(last) == text) return std::optional(last);
    }
  }
  return Error{ErrorCode::corrupt, fmt::format("{}: not the state of a witness", path)};
}

Status check_extends(const LastHead& last, const ChainCheckpoint& checkpoint, const Digest& chain_id) {
  const auto refuse = [](const std::string& why) {
    return Error{ErrorCode::conflict, "not cosigned: " + why};
  };
  if (last.chain_id != chain_id) return refuse("the last head cosigned is of another chain");
  const BlockHeader& head = checkpoint.head.block();
  if (head.height < last.height) {
    return refuse(
        fmt::format("its head is block {}, block {} was cosigned already", head.height, last.height));
  }
  if (head.height == last.height) {
    if (block_hash(head) == last.hash) return {};
    return refuse(fmt::format("another block {} was cosigned", last.height));
  }
  const auto follows = [&last](const BlockHeader& header) { return header.height == last.height + 1; };
  const auto found = std::find_if(checkpoint.trail.begin(), checkpoint.trail.end(), follows);
  const BlockHeader* next = found != checkpoint.trail.end() ? &*found : follows(head) ? &head : nullptr;
  if (next == nullptr) {
    return refuse(
        fmt::format("the headers after block {}, cosigned last, are missing: ask for a checkpoint made "
                    "with --since {}",
                    last.height, last.height));
  }
  if (next->previous != last.hash) {
    return refuse(fmt::format("it does not extend block {}, which was cosigned last", last.height));
  }
  return {};
}

}  // namespace

Result<Bytes> witness_cosign(ByteView file, const KeyPair& key, const std::string& state_path,
                             std::optional<Digest> chain_id) {
  UFAB_ASSIGN(ChainCheckpoint checkpoint, decode_checkpoint(file));
  auto chain = LightChain::follow(checkpoint);
  if (!chain.ok()) return chain.error().within("checkpoint");
  if (chain_id && *chain_id != chain->chain_id()) {
    return Error{ErrorCode::invalid, fmt::format("checkpoint: it is about chain {}, expected {}",
                                                 chain->chain_id().str(), chain_id->str())};
  }
  UFAB_ASSIGN(const FileLock lock, FileLock::acquire(state_path + ".lock"));
  UFAB_ASSIGN(const std::optional<LastHead> last, read_state(state_path));
  if (last) UFAB_TRY(check_extends(*last, checkpoint, chain->chain_id()));
  const BlockHeader& head = checkpoint.head.block();
  UFAB_TRY(
      write_file_atomic(state_path, as_bytes(print({chain->chain_id(), head.height, block_hash(head)}))));
  std::erase_if(checkpoint.cosignatures,
                [&key](const Cosignature& item) { return item.witness == key.public_key(); });
  if (checkpoint.cosignatures.size() == cosignatures_max) {
    return Error{ErrorCode::limit,
                 fmt::format("checkpoint: it bears {} cosignatures already", cosignatures_max)};
  }
  const Cosignature mine{key.public_key(), key.sign(cosignature_digest(head).view())};
  const auto at = std::find_if(checkpoint.cosignatures.begin(), checkpoint.cosignatures.end(),
                               [&mine](const Cosignature& item) { return item.witness > mine.witness; });
  checkpoint.cosignatures.insert(at, mine);
  return encode_checkpoint(checkpoint);
}

}  // namespace ufab
