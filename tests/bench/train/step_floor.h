// What a training step cannot take less than, at the speeds that this machine has now.
//
// In the floor: every product of the step's linear layers and of the head, forward and backward, at the rate
// measured for that very shape and format with nothing else between (its operands as warm as repeating it
// leaves them; quantisation, packing and the bias are part of it, as in the step); and the bytes that AdamW
// must move, parameters and both moments read and written and the integer sums read, at the bandwidth that
// the same number of threads have for a copy or for an update in place, whichever is higher. (In place is, by
// half and more: at a copy's bandwidth alone AdamW would undercut its floor.)
//
// Not in it, though a step needs them: attention, norms, activations, residual additions, bias gradients,
// embedding, softmax and loss; clearing the sums, adding the gradients to them and their norm; and that the
// operands of a product come from memory where a step has touched other data in between. What is left of the
// step beside its floor is therefore not all waste.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <vector>

#include "kernels/thread_pool.h"
#include "tests/bench/train/timed_backend.h"

namespace ufab::bench {

class StepFloor {
 public:
  // products: of `steps` steps.
  StepFloor(kernels::Backend& backend, const std::map<Product, OperatorTime>& products, int steps,
            std::size_t parameters)
      : backend_(backend),
        optimizer_bytes_(28 * static_cast<double>(parameters)),  // 3 x (read, written), sums read
        pool_(backend.threads()),
        from_(kWords, 1),
        to_(kWords, 2) {
    std::size_t in = 0, weight = 0, out = 0;
    const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
    for (const auto& [product, time] : products) {
      products_[product].calls = time.calls / steps;
      in = std::max(in, size(product.rows, product.in_width));
      weight = std::max(weight, size(product.out_width, product.in_width));
      out = std::max(out, size(product.rows, product.stride));
    }
    in_ = values(in, 1);
    weight_ = values(weight, 2);
    out_ = values(out, 3);
    bias_ = values(out, 4);
    result_.resize(std::max({in, weight, out}));
  }

  // One round of measurements; rounds in turns with the step's own keep both to the same moments.
  void measure() {
    for (auto& [product, measured] : products_) {
      multiply(product);
      for (int i = 0; i < 2; ++i) measured.seconds.push_back(time_once([&] { multiply(product); }));
    }
    for (int i = 0; i < 2; ++i) {
      copy_seconds_.push_back(time_once([&] { copy(); }));
      update_seconds_.push_back(time_once([&] { update(); }));
    }
  }

  // Medians of the rounds so far, for one step.
  [[nodiscard]] double product_seconds(const Product& product) const {
    const Measured& measured = products_.at(product);
    return measured.calls * median(measured.seconds);
  }
  [[nodiscard]] double matmul_seconds() const {
    double sum = 0;
    for (const auto& [product, measured] : products_) sum += product_seconds(product);
    return sum;
  }
  // Bytes read and bytes written, together.
  [[nodiscard]] double copy_bandwidth() const { return kMovedBytes / median(copy_seconds_); }
  [[nodiscard]] double update_bandwidth() const { return kMovedBytes / median(update_seconds_); }
  [[nodiscard]] double optimizer_seconds() const {
    return optimizer_bytes_ / std::max(copy_bandwidth(), update_bandwidth());
  }

 private:
  static constexpr std::size_t kWords = std::size_t{64} << 20;  // far beyond the caches
  static constexpr double kMovedBytes = 2.0 * kWords * sizeof(std::uint32_t);
  struct Measured {
    int calls = 0;  // a step
    std::vector<double> seconds;
  };

  // Near to normal, repeating itself: what is measured does not depend on the values.
  static std::vector<float> values(std::size_t count, std::uint64_t seed) {
    const std::vector<float> some = random_floats(std::min<std::size_t>(count, 1 << 20), seed);
    std::vector<float> all(count);
    for (std::size_t i = 0; i < count; ++i) all[i] = some[i % some.size()];
    return all;
  }
  void multiply(const Product& p) {
    switch (p.pass) {
      case Pass::forward:
        return backend_.matmul_forward(result_.data(), in_.data(), weight_.data(),
                                       p.bias ? bias_.data() : nullptr, p.rows, p.in_width, p.out_width,
                                       p.format);
      case Pass::dinput:
        return backend_.matmul_backward_input(result_.data(), out_.data(), weight_.data(), p.rows, p.in_width,
                                              p.out_width, p.format);
      case Pass::dweight:
        return backend_.matmul_backward_weight(result_.data(), in_.data(), out_.data(), p.rows, p.in_width,
                                               p.out_width, p.stride, p.accumulate, p.format);
    }
  }
  // body(first, count) for each thread's part of the words.
  template <class Body>
  void each_part(const Body& body) {
    const auto parts = static_cast<std::size_t>(pool_.threads());
    pool_.run(pool_.threads(), [&](int part, int) {
      const auto edge = [&](std::size_t p) { return kWords * p / parts; };
      const auto index = static_cast<std::size_t>(part);
      body(edge(index), edge(index + 1) - edge(index));
    });
  }
  void copy() {
    each_part([&](std::size_t first, std::size_t count) {
      std::memcpy(&to_[first], &from_[first], count * sizeof(std::uint32_t));
    });
  }
  void update() {
    each_part([&](std::size_t first, std::size_t count) {
      for (std::uint32_t& word : std::span(to_).subspan(first, count)) ++word;
    });
  }

  kernels::Backend& backend_;
  double optimizer_bytes_;
  kernels::ThreadPool pool_;
  std::vector<std::uint32_t> from_, to_;
  std::vector<float> in_, weight_, out_, bias_, result_;
  std::map<Product, Measured> products_;
  std::vector<double> copy_seconds_, update_seconds_;
};

}  // namespace ufab::bench
