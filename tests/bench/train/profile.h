// Where a training step's time goes, by kind of operator.
#pragma once

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/bench/train/step_floor.h"
#include "tests/bench/train/timed_backend.h"

namespace ufab::bench {

// To stderr, means of `steps` steps that took `seconds` together; beside what is in the floor, that. The
// head's products are those whose rows of dout are `vocab` apart.
inline void print_profile(const std::string& title, const TimedBackend& timed, const StepFloor& floor,
                          int vocab, int steps, double seconds) {
  struct Row {
    std::string name;
    OperatorTime time;
    double floor = 0;  // 0: not in it
  };
  std::vector<Row> rows;
  double inside = 0;
  for (const Pass pass : kPasses) {
    Row row{std::string("matmul ") + pass_name(pass), {}, 0};
    Row head{row.name + ", head", {}, 0};
    for (const auto& [product, time] : timed.products()) {
      if (product.pass != pass) continue;
      Row& of = product.stride == vocab ? head : row;
      of.time.calls += time.calls;
      of.time.seconds += time.seconds;
      of.floor += floor.product_seconds(product);
    }
    rows.push_back(row);
    rows.push_back(head);
  }
  for (const auto& [name, time] : timed.others()) {
    rows.push_back({name, time, name == TimedBackend::kAdamW ? floor.optimizer_seconds() : 0});
  }
  for (const Row& row : rows) inside += row.time.seconds;
  rows.push_back({"outside of operators", {0, seconds - inside}, 0});
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.time.seconds > b.time.seconds; });

  std::fprintf(stderr, "%s: %.1f ms a step\n  %-28s %6s %9s %6s %9s\n", title.c_str(), seconds / steps * 1e3,
               "operator", "calls", "ms", "%", "floor ms");
  for (const Row& row : rows) {
    std::fprintf(stderr, "  %-28s %6d %9.2f %6.1f", row.name.c_str(), row.time.calls / steps,
                 row.time.seconds / steps * 1e3, 100 * row.time.seconds / seconds);
    if (row.floor > 0) std::fprintf(stderr, " %9.2f", row.floor * 1e3);
    std::fprintf(stderr, "\n");
  }
}

}  // namespace ufab::bench
