// prepare_block() in pieces, for threads to share a block between them.
#pragma once

#include "accounting/chain/chain.h"

namespace ufab {

class BlockPreparation {
 public:
  explicit BlockPreparation(Block block, Signatures signatures = Signatures::check);

  [[nodiscard]] const Block& block() const { return block_; }
  [[nodiscard]] std::size_t pieces() const { return pieces_.size(); }
  // Each once; different ones may be worked on at the same time.
  void work(std::size_t piece);
  // Once all pieces are done: what prepare_block() says of it.
  [[nodiscard]] PreparedBlock finish() &&;

 private:
  struct Piece {
    std::vector<Record> records;
    Status status;
  };
  [[nodiscard]] Status check(std::size_t position, Record& record) const;

  Block block_;
  Signatures signatures_;
  std::vector<Digest> leaves_;
  std::vector<Piece> pieces_;
};

}  // namespace ufab
