#pragma once

/// @file
/// Line charts as inline SVG, and what every text of an HTML page needs.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/text/utf8.hpp"
#include "report/run_data.hpp"

namespace maestro::examples {

/// A text as HTML shows it, whatever is in it: markup is text, broken UTF-8 is U+FFFD, control characters are spaces.
inline std::string escaped(std::string_view text) {
  std::string html;
  for (const char c : replace_invalid_utf8(text)) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      default:
        html += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return html;
}

/// A number for people, to four digits.
inline std::string figure(double value) {
  if (std::isnan(value)) return "–";
  char text[32];
  const double size = std::abs(value);
  std::snprintf(text, sizeof text, size >= 1e4 && size < 1e12 ? "%.0f" : "%.4g", value == 0.0 ? 0.0 : value);
  return text;
}

/// One line of a chart.
struct Line {
  std::string name;
  const Curve* curve = nullptr;
  bool dots = false;      ///< its values are few: they are marked
  std::size_t color = 0;  ///< html_of sets it, by the line's place
};

/// What a chart shows.
struct Chart {
  std::string title;
  std::string note{};  ///< what is good, in a few words
  std::vector<Line> lines{};
  bool from_zero = false;  ///< the axis reaches down to 0
};

namespace detail {

inline constexpr std::size_t colors = 8;
inline constexpr double chart_width = 420.0;
inline constexpr double chart_height = 200.0;
inline constexpr double left_margin = 52.0;
inline constexpr double top_margin = 8.0;
inline constexpr double bottom_margin = 24.0;
inline constexpr double right_margin = 8.0;

/// Steps of 1, 2 or 5 times a power of ten, about `count` of which lie between the ends.
inline std::vector<double> ticks(double low, double high, int count) {
  const double raw = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double step = power * (raw / power > 5.0 ? 10.0 : raw / power > 2.0 ? 5.0 : raw / power > 1.0 ? 2.0 : 1.0);
  std::vector<double> places;
  const double first = std::ceil(low / step);
  for (int i = 0; i <= 2 * count && (first + i) * step <= high + 1e-9 * step; ++i) places.push_back((first + i) * step);
  return places;
}

/// At most `most` points: the means of neighbors.
inline Curve thinned(const Curve& curve, std::size_t most) {
  if (curve.steps.size() <= most) return curve;
  Curve thin;
  for (std::size_t i = 0; i < most; ++i) {
    const std::size_t first = i * curve.steps.size() / most;
    const std::size_t last = (i + 1) * curve.steps.size() / most;
    double step = 0.0;
    double value = 0.0;
    for (std::size_t p = first; p < last; ++p) {
      step += curve.steps[p];
      value += curve.values[p];
    }
    thin.add(step / static_cast<double>(last - first), value / static_cast<double>(last - first));
  }
  return thin;
}

/// The mean of each value and those of a twentieth of the curve around it.
inline Curve smoothed(const Curve& curve) {
  const std::size_t reach = curve.steps.size() / 40;
  Curve smooth;
  for (std::size_t i = 0; i < curve.steps.size(); ++i) {
    const std::size_t first = i - std::min(i, reach);
    const std::size_t last = std::min(i + reach + 1, curve.steps.size());
    double sum = 0.0;
    for (std::size_t p = first; p < last; ++p) sum += curve.values[p];
    smooth.add(curve.steps[i], sum / static_cast<double>(last - first));
  }
  return smooth;
}

/// Where values of a chart lie in its picture.
struct Frame {
  double first_step = std::numeric_limits<double>::infinity();
  double last_step = -std::numeric_limits<double>::infinity();
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  explicit Frame(const Chart& chart) {
    for (const Line& line : chart.lines) {
      for (std::size_t i = 0; i < line.curve->steps.size(); ++i) {
        first_step = std::min(first_step, line.curve->steps[i]);
        last_step = std::max(last_step, line.curve->steps[i]);
        low = std::min(low, line.curve->values[i]);
        high = std::max(high, line.curve->values[i]);
      }
    }
    if (chart.from_zero) low = std::min(low, 0.0);
    const double room = high > low ? 0.05 * (high - low) : std::max(0.05 * std::abs(high), 1e-3);
    high += room;
    if (!chart.from_zero || low < 0.0) low -= room;
    if (!(last_step > first_step)) last_step = first_step + 1.0;
  }
  double x(double step) const {
    return left_margin + (step - first_step) / (last_step - first_step) * (chart_width - left_margin - right_margin);
  }
  double y(double value) const {
    return top_margin + (high - value) / (high - low) * (chart_height - top_margin - bottom_margin);
  }
};

inline std::string at(double place) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", place);
  return text;
}

inline std::string polyline(const Frame& frame, const Curve& curve, const std::string& style) {
  std::string points;
  for (std::size_t i = 0; i < curve.steps.size(); ++i) {
    points += (points.empty() ? "" : " ") + at(frame.x(curve.steps[i])) + "," + at(frame.y(curve.values[i]));
  }
  return "<polyline class=\"" + style + "\" points=\"" + points + "\"/>";
}

inline std::string axes(const Frame& frame) {
  std::string svg;
  for (const double value : ticks(frame.low, frame.high, 4)) {
    const std::string y = at(frame.y(value));
    svg += "<line class=\"rule\" x1=\"" + at(left_margin) + "\" x2=\"" + at(chart_width - right_margin) + "\" y1=\"" +
           y + "\" y2=\"" + y + "\"/><text class=\"tick\" text-anchor=\"end\" x=\"" + at(left_margin - 6) + "\" y=\"" +
           at(frame.y(value) + 4) + "\">" + figure(value) + "</text>";
  }
  for (const double step : ticks(frame.first_step, frame.last_step, 5)) {
    if (step != std::floor(step)) continue;
    svg += "<text class=\"tick\" text-anchor=\"middle\" x=\"" + at(frame.x(step)) + "\" y=\"" + at(chart_height - 6) +
           "\">" + figure(step) + "</text>";
  }
  return svg;
}

}  // namespace detail

/// The chart as a figure of HTML; empty if none of its lines has a value. Long lines are drawn faint as they are, and
/// strong as their running mean. A line without values keeps its color, so that a reward has the same one in every
/// chart.
inline std::string html_of(Chart chart) {
  using namespace detail;
  for (std::size_t i = 0; i < chart.lines.size(); ++i) chart.lines[i].color = i % colors;
  std::erase_if(chart.lines, [](const Line& line) { return line.curve == nullptr || line.curve->empty(); });
  if (chart.lines.empty()) return {};
  const Frame frame(chart);
  std::string svg = axes(frame);
  std::string legend;
  for (const Line& line : chart.lines) {
    const std::string color = "c" + std::to_string(line.color);
    const Curve thin = thinned(*line.curve, 400);
    if (line.dots || thin.steps.size() == 1) {
      for (std::size_t p = 0; p < thin.steps.size(); ++p) {
        svg += "<circle class=\"" + color + "\" r=\"3.5\" cx=\"" + at(frame.x(thin.steps[p])) + "\" cy=\"" +
               at(frame.y(thin.values[p])) + "\"/>";
      }
      svg += polyline(frame, thin, color + " dashed");
    } else {
      const bool noisy = thin.steps.size() >= 40;
      if (noisy) svg += polyline(frame, thin, color + " faint");
      svg += polyline(frame, noisy ? smoothed(thin) : thin, color);
    }
    legend += "<span><i class=\"" + color + "\"></i>" + escaped(line.name) + " <b>" + figure(line.curve->late()) +
              "</b></span>";
  }
  return "<figure><figcaption>" + escaped(chart.title) +
         (chart.note.empty() ? "" : "<small>" + escaped(chart.note) + "</small>") + "</figcaption><svg viewBox=\"0 0 " +
         at(chart_width) + " " + at(chart_height) + "\" role=\"img\" aria-label=\"" + escaped(chart.title) + "\">" +
         svg + "</svg><div class=\"legend\">" + legend + "</div></figure>\n";
}

}  // namespace maestro::examples
