#include "accounting/audit/charts.h"

#include <fmt/format.h>

#include <algorithm>

#include "accounting/amount.h"

namespace ufab::audit {

namespace {

constexpr std::uint64_t palette_size = 8;

std::string color_of(unsigned index) {
  return fmt::format("var(--c{})", index % palette_size + 1);
}

// A coordinate in tenths, as SVG wants it.
std::string px(std::uint64_t tenths) {
  return fmt::format("{}.{}", tenths / 10, tenths % 10);
}

// from + span × value / range, in tenths.
std::uint64_t scale(std::uint64_t value, std::uint64_t range, std::uint64_t span) {
  return range == 0 ? 0 : mul_div(std::min(value, range), span, range).value_or(span);
}

// The smallest of 1, 2, 5 × 10^k that divides `range` into at most `parts` steps.
std::uint64_t nice_step(std::uint64_t range, std::uint64_t parts) {
  std::uint64_t step = 1;
  for (std::uint64_t turn = 0; range / step > parts; ++turn) {
    const auto next = checked_mul(step, turn % 3 == 1 ? 5 : 2);
    if (!next) break;
    step = turn % 3 == 1 ? *next / 2 : *next;  // 1, 2, 5, 10, …
  }
  return step;
}

std::string millionths_text(std::uint64_t value) {
  std::string digits = fmt::format("{:06}", value % 1'000'000);
  digits.erase(std::max<std::size_t>(2, digits.find_last_not_of('0') + 1));
  return fmt::format("{}.{}", value / 1'000'000, digits);
}

std::string figure(const std::string& title, const std::string& description, std::uint64_t width,
                   std::uint64_t height, const std::string& content) {
  // Titles differ within a page, so they make its ids.
  std::string id = title;
  std::replace_if(
      id.begin(), id.end(), [](char c) { return c < 'A' || c > 'z'; }, '-');
  return fmt::format(
      "<figure><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"t{} d{}\"><title "
      "id=\"t{}\">{}</title>"
      "<desc id=\"d{}\">{}</desc>{}</svg></figure>\n",
      width, height, id, id, id, html_escape(title), id, html_escape(description), content);
}

std::string text_at(std::uint64_t x, std::uint64_t y, const char* anchor, const char* css,
                    std::string_view text) {
  return fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\" class=\"{}\">{}</text>", px(x), px(y),
                     anchor, css, html_escape(text));
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

bool parse_millionths(std::string_view text, std::uint64_t& value) {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  std::string fraction(point == std::string_view::npos ? "" : text.substr(point + 1));
  fraction.resize(std::min<std::size_t>(fraction.size(), 18));
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (whole.empty() || whole.size() > 12 || !std::all_of(whole.begin(), whole.end(), is_digit) ||
      !std::all_of(fraction.begin(), fraction.end(), is_digit)) {
    return false;
  }
  fraction.resize(6, '0');
  value = 0;
  for (const char c : std::string(whole) + fraction) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return true;
}

std::string loss_chart(const std::vector<ChartPoint>& training, const std::vector<ChartPoint>& evaluation) {
  std::vector<ChartPoint> all = training;
  all.insert(all.end(), evaluation.begin(), evaluation.end());
  if (all.empty()) return "";
  const auto by_x = std::minmax_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.x < b.x; });
  const auto by_y = std::minmax_element(all.begin(), all.end(), [](auto& a, auto& b) { return a.y < b.y; });
  const std::uint64_t x_min = by_x.first->x, x_max = by_x.second->x;
  const std::uint64_t step_y = nice_step(by_y.second->y - by_y.first->y, 5);
  const std::uint64_t y_min = by_y.first->y / step_y * step_y;
  const std::uint64_t y_max = (by_y.second->y / step_y + 1) * step_y;
  constexpr std::uint64_t left = 560, top = 160, width = 6480, height = 2480;
  const auto at_x = [&](std::uint64_t x) { return left + scale(x - x_min, x_max - x_min, width); };
  const auto at_y = [&](std::uint64_t y) { return top + height - scale(y - y_min, y_max - y_min, height); };
  std::string svg;
  for (std::uint64_t y = y_min; y <= y_max; y += step_y) {
    svg += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", px(left),
                       px(left + width), px(at_y(y)), px(at_y(y)));
    svg += text_at(left - 80, at_y(y) + 40, "end", "tick", millionths_text(y));
  }
  const std::uint64_t step_x = nice_step(x_max - x_min, 8);
  for (std::uint64_t x = (x_min + step_x - 1) / step_x * step_x; x <= x_max; x += step_x) {
    svg += text_at(at_x(x), top + height + 200, "middle", "tick", std::to_string(x));
  }
  svg += text_at(left + width, top + height + 380, "end", "axis", "optimizer step");
  svg += text_at(left, 90, "start", "axis", "loss (nats)");
  if (!training.empty()) {
    // At most about 1,500 points: more cannot be seen.
    const std::size_t stride = training.size() / 1500 + 1;
    std::string path;
    for (std::size_t i = 0; i < training.size(); i += stride) {
      path +=
          fmt::format("{}{} {}", path.empty() ? "M" : "L", px(at_x(training[i].x)), px(at_y(training[i].y)));
    }
    path += fmt::format("L{} {}", px(at_x(training.back().x)), px(at_y(training.back().y)));
    svg += fmt::format("<path class=\"area\" d=\"{}L{} {}L{} {}Z\"/>", path, px(at_x(training.back().x)),
                       px(top + height), px(at_x(training.front().x)), px(top + height));
    svg += fmt::format("<path class=\"loss\" d=\"{}\"/>", path);
  }
  for (const ChartPoint& point : evaluation) {
    svg += fmt::format(
        "<circle class=\"eval\" cx=\"{}\" cy=\"{}\" r=\"4\"><title>step {}: evaluation loss "
        "{}</title></circle>",
        px(at_x(point.x)), px(at_y(point.y)), point.x, millionths_text(point.y));
  }
  const std::string description =
      fmt::format("Loss from {} at step {} to {} at step {}.", millionths_text(all.front().y), all.front().x,
                  millionths_text(all.back().y), x_max);
  return figure("Training loss", description, 720, 310, svg);
}

namespace {

// 1, 2, 5, 10, … up to the first that is at least `largest`, from the last that is at most `smallest`.
std::vector<std::uint64_t> ratio_steps(std::uint64_t smallest, std::uint64_t largest) {
  std::vector<std::uint64_t> steps;
  std::uint64_t step = 1;
  for (std::uint64_t turn = 0;; ++turn) {
    if (step <= smallest) steps.clear();
    steps.push_back(step);
    if (step >= largest && steps.size() > 1) return steps;
    const auto next = checked_mul(step, turn % 3 == 1 ? 5 : 2);
    if (!next) return steps;
    step = turn % 3 == 1 ? *next / 2 : *next;
  }
}

}  // namespace

std::string lines_chart(const std::string& title, const std::string& x_axis, const std::string& y_axis,
                        const std::vector<Line>& lines) {
  std::vector<std::uint64_t> xs;
  std::uint64_t smallest = UINT64_MAX, largest = 0;
  for (const Line& line : lines) {
    for (const ChartPoint& point : line.points) {
      xs.push_back(point.x);
      smallest = std::min(smallest, point.y);
      largest = std::max(largest, point.y);
    }
  }
  if (xs.empty()) return "";
  std::sort(xs.begin(), xs.end());
  xs.erase(std::unique(xs.begin(), xs.end()), xs.end());
  const std::vector<std::uint64_t> steps = ratio_steps(smallest, largest);
  constexpr std::uint64_t left = 760, top = 260, width = 4700, height = 2600, legend = 5650;
  const auto at_x = [&](std::uint64_t x) {
    const auto place = static_cast<std::uint64_t>(std::lower_bound(xs.begin(), xs.end(), x) - xs.begin());
    return left + (2 * place + 1) * width / (2 * xs.size());
  };
  const auto at_step = [&](std::size_t step) { return top + height - step * height / (steps.size() - 1); };
  const auto at_y = [&](std::uint64_t y) {
    std::size_t step = 0;
    while (step + 2 < steps.size() && y >= steps[step + 1]) ++step;
    const std::uint64_t within = y - std::min(y, steps[step]);
    return at_step(step) - scale(within, steps[step + 1] - steps[step], at_step(step) - at_step(step + 1));
  };
  std::string svg;
  for (std::size_t step = 0; step < steps.size(); ++step) {
    svg += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", px(left),
                       px(left + width), px(at_step(step)), px(at_step(step)));
    const std::uint64_t value = steps[step];
    svg += text_at(left - 80, at_step(step) + 40, "end", "tick",
                   value % 1000 == 0 ? std::to_string(value / 1000) : millionths_text(value * 1000));
  }
  for (const std::uint64_t x : xs)
    svg += text_at(at_x(x), top + height + 200, "middle", "tick", std::to_string(x));
  svg += text_at(left + width / 2, top + height + 420, "middle", "axis", x_axis);
  svg += text_at(left - 600, 120, "start", "axis", y_axis);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Line& line = lines[i];
    const std::string style =
        fmt::format("stroke=\"{}\" fill=\"none\" stroke-width=\"2\"{}", color_of(line.color),
                    line.dashed ? " stroke-dasharray=\"5 4\"" : "");
    std::string path;
    for (const ChartPoint& point : line.points) {
      path += fmt::format("{}{} {}", path.empty() ? "M" : "L", px(at_x(point.x)), px(at_y(point.y)));
      svg += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"{}\"><title>{}, {}: {}</title></circle>",
                         px(at_x(point.x)), px(at_y(point.y)), color_of(line.color), html_escape(line.label),
                         point.x, millionths_text(point.y * 1000));
    }
    svg += fmt::format("<path d=\"{}\" {}/>", path, style);
    const std::uint64_t y = top + 100 + i * 260;
    svg += fmt::format("<path d=\"M{} {}H{}\" {}/>", px(legend), px(y), px(legend + 300), style);
    svg += text_at(legend + 380, y + 40, "start", "label", line.label);
  }
  const std::string description =
      fmt::format("{} over {}, from {} to {}.", y_axis, x_axis, millionths_text(smallest * 1000),
                  millionths_text(largest * 1000));
  return figure(title, description, 760, (top + height + 520) / 10, svg);
}

std::string stand_alone(const std::string& figure) {
  const std::size_t begin = figure.find("<svg "), end = figure.find("</figure>");
  if (begin == std::string::npos || end == std::string::npos) return "";
  std::string svg = figure.substr(begin, end - begin);
  svg.insert(5, "xmlns=\"http://www.w3.org/2000/svg\" ");
  // Not every viewer of SVG knows variables.
  const char* const colors[palette_size] = {"#2457d6", "#d9730d", "#0b8a5e", "#8a3fd1",
                                            "#c2255c", "#0c8599", "#7a6a00", "#6b7787"};
  for (unsigned i = 0; i < palette_size; ++i) {
    const std::string name = color_of(i);
    for (std::size_t at = svg.find(name); at != std::string::npos; at = svg.find(name, at))
      svg.replace(at, name.size(), colors[i]);
  }
  const std::size_t head_end = svg.find('>') + 1;
  svg.insert(head_end,
             "<style>svg{background:#fff;font:11px sans-serif}.grid{stroke:#ddd}text{fill:#222}"
             ".tick{fill:#555}.axis{font-weight:bold}</style>");
  return svg + "\n";
}

std::string bars_chart(const std::string& title, const std::vector<Bar>& bars) {
  constexpr std::uint64_t left = 1100, width = 5900, row = 520;
  std::string svg;
  std::string description;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const std::uint64_t y = 60 + i * row;
    std::uint64_t total = 0;
    for (const Slice& slice : bars[i].slices) total = checked_add(total, slice.value).value_or(UINT64_MAX);
    svg += text_at(left - 120, y + 220, "end", "label", bars[i].label);
    std::uint64_t before = 0;
    for (const Slice& slice : bars[i].slices) {
      const std::uint64_t from = scale(before, total, width);
      before += slice.value;
      const std::uint64_t size = scale(before, total, width) - from;
      svg += fmt::format(
          "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"34\" rx=\"4\" fill=\"{}\"><title>{}: "
          "{}</title></rect>",
          px(left + from), px(y), px(size > 20 ? size - 20 : size), color_of(slice.color),
          html_escape(slice.label), html_escape(slice.note));
      if (size > 900)
        svg += text_at(left + from + 110, y + 220, "start", "on-bar", slice.label + " " + slice.note);
      description += fmt::format("{}: {} {}. ", bars[i].label, slice.label, slice.note);
    }
  }
  return figure(title, description, 720, (60 + bars.size() * row) / 10, svg);
}

std::string flow_chart(const std::string& source, const std::vector<Slice>& targets) {
  constexpr std::uint64_t gap = 200, label_height = 400, usable = 2000, left = 2200, right = 4900;
  std::uint64_t total = 0;
  for (const Slice& slice : targets) total += slice.value;
  if (total == 0) return "";
  std::string svg;
  std::string description = source + ": ";
  std::uint64_t y_left = 200 + (targets.size() - 1) * gap;
  std::uint64_t y_right = 200;
  const std::uint64_t y_start = y_left;
  for (const Slice& slice : targets) {
    const std::uint64_t thick = std::max<std::uint64_t>(scale(slice.value, total, usable), 15);
    const std::uint64_t middle = (left + right) / 2;
    svg += fmt::format(
        "<path d=\"M{0} {1}C{2} {1} {2} {3} {4} {3}L{4} {5}C{2} {5} {2} {6} {0} {6}Z\" fill=\"{7}\" "
        "class=\"flow\">"
        "<title>{8}: {9}</title></path>",
        px(left), px(y_left), px(middle), px(y_right), px(right), px(y_right + thick), px(y_left + thick),
        color_of(slice.color), html_escape(slice.label), html_escape(slice.note));
    svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"8\" height=\"{}\" fill=\"{}\"/>", px(right),
                       px(y_right), px(thick), color_of(slice.color));
    svg += text_at(right + 180, y_right + thick / 2 - 10, "start", "label", slice.label);
    svg += text_at(right + 180, y_right + thick / 2 + 130, "start", "tick", slice.note);
    description += fmt::format("{} {}. ", slice.label, slice.note);
    y_left += thick;
    y_right += std::max(thick + gap, label_height);
  }
  svg += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"8\" height=\"{}\" class=\"ink\"/>", px(left - 80),
                     px(y_start), px(y_left - y_start));
  svg += text_at(left - 200, (y_start + y_left) / 2 + 40, "end", "label", source);
  return figure("Money flow", description, 720, y_right / 10, svg);
}

std::string timeline_chart(const std::vector<std::string>& lanes, const std::vector<Event>& events) {
  if (events.empty()) return "";
  constexpr std::uint64_t left = 1100, width = 5900, row = 380;
  std::uint64_t first = UINT64_MAX;
  std::uint64_t last = 0;
  for (const Event& event : events) {
    first = std::min(first, event.time_us);
    last = std::max(last, event.time_us);
  }
  const std::uint64_t bottom = 100 + lanes.size() * row;
  std::string svg;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    const std::uint64_t y = 100 + i * row + row / 2;
    svg += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", px(left),
                       px(left + width), px(y), px(y));
    svg += text_at(left - 120, y + 40, "end", "label", lanes[i]);
  }
  const std::uint64_t range_ms = (last - first) / 1000;
  const std::uint64_t step_ms = nice_step(range_ms, 8);
  for (std::uint64_t ms = 0; ms <= range_ms; ms += step_ms) {
    const std::uint64_t x = left + scale(ms, range_ms, width);
    svg += text_at(x, bottom + 160, "middle", "tick",
                   ms % 1000 == 0 ? fmt::format("{} s", ms / 1000) : fmt::format("{} ms", ms));
  }
  for (const Event& event : events) {
    const std::uint64_t x = left + scale(event.time_us - first, last - first, width);
    const std::uint64_t y = 100 + event.lane * row + row / 2;
    svg += fmt::format(
        "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" class=\"mark\"><title>{}</title></circle>", px(x),
        px(y), event.alarm ? 7 : 5, event.alarm ? "var(--bad)" : color_of(event.color),
        html_escape(event.title));
  }
  return figure("Timeline", fmt::format("{} events in {} ms.", events.size(), range_ms), 720,
                (bottom + 240) / 10, svg);
}

}  // namespace ufab::audit
