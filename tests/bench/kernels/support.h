// What the kernels' and the training benches share: time, medians and the line that `./dev bench` collects.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace ufab::bench {

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
template <class Body>
double time_once(const Body& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return seconds_since(start);
}
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// One figure. peer < 0: no peer here, and no ratio. aim 0: none. at_most: the aim is an upper bound.
struct Figure {
  std::string group, name, unit;
  double ours, peer, ratio, aim;
  bool at_most = false;
};
inline void print(const Figure& figure) {
  const auto number = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value);
    return std::string(text);
  };
  const bool has_ratio = figure.peer >= 0;
  const bool judged = figure.aim > 0 && (has_ratio || figure.at_most);
  const double measured = has_ratio ? figure.ratio : figure.ours;
  const bool met = figure.at_most ? measured <= figure.aim : measured >= figure.aim;
  std::printf(
      "{\"group\":\"%s\",\"name\":\"%s\",\"ours\":%s,\"peer\":%s,\"unit\":\"%s\",\"ratio\":%s,\"aim\":%s,"
      "\"met\":%s}\n",
      figure.group.c_str(), figure.name.c_str(), number(figure.ours).c_str(),
      has_ratio ? number(figure.peer).c_str() : "null", figure.unit.c_str(),
      has_ratio ? number(figure.ratio).c_str() : "null", figure.aim > 0 ? number(figure.aim).c_str() : "null",
      judged ? (met ? "true" : "false") : "null");
  std::fflush(stdout);
}

}  // namespace ufab::bench
