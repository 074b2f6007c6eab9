// What the kernels' and the training benches share: time, medians and the line that `./dev bench` collects.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
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

// One figure. peer < 0: no peer here, and no ratio. aim 0: none. at_most: the aim is an upper bound. What
// follows is printed where it is set.
struct Figure {
  std::string group, name, unit;
  double ours, peer, ratio, aim;
  bool at_most = false;
  std::string peer_name = {};       // of the peer that the ratio is against
  double gflops = -1;               // operations of the product asked for, 10^9 a second
  double relative_error = -1;       // relative RMS error of our result
  double peer_relative_error = -1;  // of that peer's
  std::vector<std::pair<std::string, double>> peers = {};  // every peer's figure, by name
  std::string includes = {};                               // what is in our time
};

inline std::string json_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}
inline void print(const Figure& figure) {
  const bool has_ratio = figure.peer >= 0;
  const bool judged = figure.aim > 0 && (has_ratio || figure.at_most);
  const double measured = has_ratio ? figure.ratio : figure.ours;
  const bool met = figure.at_most ? measured <= figure.aim : measured >= figure.aim;
  std::string line = "{";
  const auto field = [&](const std::string& name, const std::string& value) {
    line += (line.size() > 1 ? ",\"" : "\"") + name + "\":" + value;
  };
  const auto text = [](const std::string& value) { return "\"" + value + "\""; };
  const auto number_or_null = [](bool is, double value) { return is ? json_number(value) : "null"; };
  field("group", text(figure.group));
  field("name", text(figure.name));
  field("ours", json_number(figure.ours));
  field("peer", number_or_null(has_ratio, figure.peer));
  field("unit", text(figure.unit));
  field("ratio", number_or_null(has_ratio, figure.ratio));
  field("aim", number_or_null(figure.aim > 0, figure.aim));
  field("met", judged ? (met ? "true" : "false") : "null");
  if (!figure.peer_name.empty()) field("peer_name", text(figure.peer_name));
  for (const auto& [name, value] : figure.peers) field(name, json_number(value));
  if (figure.gflops >= 0) field("gflops", json_number(figure.gflops));
  if (figure.relative_error >= 0) field("relative_error", json_number(figure.relative_error));
  if (figure.peer_relative_error >= 0) field("peer_relative_error", json_number(figure.peer_relative_error));
  if (!figure.includes.empty()) field("includes", text(figure.includes));
  std::printf("%s}\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace ufab::bench
