// RFC 9162 trees against the published reference tree of Certificate Transparency (eight leaves).
#include "fabric/base/merkle.h"

#include <gtest/gtest.h>

namespace ufab {
namespace {

std::vector<Digest> reference_leaves() {
  std::vector<Digest> leaves;
  for (const char* hex :
       {"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}) {
    leaves.push_back(merkle::leaf_hash(*from_hex(hex)));
  }
  return leaves;
}

TEST(Merkle, RootsAreThePublishedOnes) {
  const std::vector<Digest> leaves = reference_leaves();
  const char* roots[] = {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                         "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                         "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                         "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                         "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                         "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                         "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                         "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  for (std::size_t n = 1; n <= 8; ++n) {
    EXPECT_EQ(merkle::root(std::span(leaves).first(n)).hex(), roots[n - 1]);
  }
  EXPECT_EQ(merkle::root({}).hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Merkle, TheReferenceInclusionPathsComeOut) {
  const std::vector<Digest> leaves = reference_leaves();
  const auto path = merkle::inclusion_proof(leaves, 0);
  ASSERT_EQ(path.size(), 3U);
  EXPECT_EQ(path[0].hex(), "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
  EXPECT_EQ(path[1].hex(), "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e");
  EXPECT_EQ(path[2].hex(), "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4");
}

TEST(Merkle, EveryInclusionProofHoldsForItsLeafAndForNothingElse) {
  const std::vector<Digest> all = reference_leaves();
  for (std::size_t n = 1; n <= 8; ++n) {
    const auto leaves = std::span(all).first(n);
    const Digest root = merkle::root(leaves);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<Digest> path = merkle::inclusion_proof(leaves, i);
      EXPECT_TRUE(merkle::verify_inclusion(leaves[i], i, n, path, root));
      for (std::size_t j = 0; j <= n; ++j) {
        if (j != i) {
          EXPECT_FALSE(merkle::verify_inclusion(leaves[i], j, n, path, root));
        }
      }
      path.push_back(root);
      EXPECT_FALSE(merkle::verify_inclusion(leaves[i], i, n, path, root));
    }
  }
}

TEST(Merkle, EveryConsistencyProofHoldsForItsSizesAndForNothingElse) {
  const std::vector<Digest> all = reference_leaves();
  for (std::size_t n = 1; n <= 8; ++n) {
    for (std::size_t m = 1; m <= n; ++m) {
      const Digest old_root = merkle::root(std::span(all).first(m));
      const Digest new_root = merkle::root(std::span(all).first(n));
      const auto proof = merkle::consistency_proof(std::span(all).first(n), m);
      EXPECT_TRUE(merkle::verify_consistency(m, n, old_root, new_root, proof));
      if (m < n) {
        EXPECT_FALSE(merkle::verify_consistency(m, n, new_root, old_root, proof));
        EXPECT_FALSE(merkle::verify_consistency(m, n, merkle::leaf_hash({}),
                                                merkle::node_hash(old_root, new_root), proof));
      }
      std::vector<Digest> longer = proof;
      longer.push_back(new_root);
      EXPECT_FALSE(merkle::verify_consistency(m, n, old_root, new_root, longer));
    }
  }
}

}  // namespace
}  // namespace ufab
