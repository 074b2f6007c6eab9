// Lane sums and maxima (kernels/semantics.h), one lane at a time.
#pragma once

#include <limits>

#include "kernels/semantics.h"

namespace ufab::kernels::reference {

template <class T>
struct LaneSum {
  T lane[kLanes] = {};

  void add(int i, T x) { lane[i % kLanes] += x; }
  void add_product(int i, T a, T b);
  T total() const {
    T tree[kLanes];
    for (int l = 0; l < kLanes; ++l) tree[l] = lane[l];
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      for (int l = 0; l < distance; ++l) tree[l] = tree[l] + tree[l + distance];
    }
    return tree[0];
  }
};
template <>
inline void LaneSum<float>::add_product(int i, float a, float b) {
  lane[i % kLanes] = __builtin_fmaf(a, b, lane[i % kLanes]);
}
template <>
inline void LaneSum<double>::add_product(int i, double a, double b) {
  lane[i % kLanes] = __builtin_fma(a, b, lane[i % kLanes]);
}

// The maximum does not depend on the order, except for which of two equal zeros wins: hence lanes here too.
struct LaneMaximum {
  float lane[kLanes];

  LaneMaximum() {
    for (float& l : lane) l = -std::numeric_limits<float>::infinity();
  }
  void add(int i, float x) {
    float& l = lane[i % kLanes];
    l = l < x ? x : l;
  }
  float total() const {
    float tree[kLanes];
    for (int l = 0; l < kLanes; ++l) tree[l] = lane[l];
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      for (int l = 0; l < distance; ++l)
        tree[l] = tree[l] > tree[l + distance] ? tree[l] : tree[l + distance];
    }
    return tree[0];
  }
};

}  // namespace ufab::kernels::reference
