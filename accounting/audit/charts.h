// Charts for the audit report: pure functions from numbers to inline SVG text, integers only (coordinates in
// tenths of a unit). Each is a <figure> with a title and description for screen readers, coloured by the
// page's CSS variables, so that light and dark themes follow the page.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ufab::audit {

// Text for HTML content and attribute values.
[[nodiscard]] std::string html_escape(std::string_view text);

// Decimal text ("2.3456", "1e-3" is refused) as millionths; empty if it is not a plain decimal number.
[[nodiscard]] bool parse_millionths(std::string_view text, std::uint64_t& value);

struct ChartPoint {
  std::uint64_t x = 0;
  std::uint64_t y = 0;  // millionths
};
// Loss over steps: a line for training, dots for evaluations. Empty input gives an empty string.
[[nodiscard]] std::string loss_chart(const std::vector<ChartPoint>& training,
                                     const std::vector<ChartPoint>& evaluation);

struct Line {
  std::string label;
  unsigned color = 0;  // palette index
  bool dashed = false;
  std::vector<ChartPoint> points;  // x ascending; y in thousandths of the axis' unit
};
// Lines over the values of x that occur, evenly spaced, with a legend. The upward axis has steps of 1, 2, 5,
// 10, …, evenly spaced too, from the smallest value to the largest: it shows ratios. Empty input gives an
// empty string.
[[nodiscard]] std::string lines_chart(const std::string& title, const std::string& x_axis,
                                      const std::string& y_axis, const std::vector<Line>& lines);
// A chart as an SVG file of its own, with its colours.
[[nodiscard]] std::string stand_alone(const std::string& figure);

struct Slice {
  std::string label;
  std::string note;  // shown beside the label
  std::uint64_t value = 0;
  unsigned color = 0;  // palette index
};
struct Bar {
  std::string label;
  std::vector<Slice> slices;
};
// One stacked horizontal bar per row.
[[nodiscard]] std::string bars_chart(const std::string& title, const std::vector<Bar>& bars);

// Money from one source to its destinations: ribbons as thick as the amounts (at least a hairline).
[[nodiscard]] std::string flow_chart(const std::string& source, const std::vector<Slice>& targets);

struct Event {
  std::uint64_t time_us = 0;
  std::size_t lane = 0;
  unsigned color = 0;
  bool alarm = false;
  std::string title;  // tooltip
};
// Lanes over time, a mark per event.
[[nodiscard]] std::string timeline_chart(const std::vector<std::string>& lanes,
                                         const std::vector<Event>& events);

}  // namespace ufab::audit
