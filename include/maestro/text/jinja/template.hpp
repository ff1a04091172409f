#pragma once

/// @file
/// A chat template that can be rendered. It supports the constructs of Jinja2 that chat templates use.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/text/jinja/interpreter.hpp"
#include "maestro/text/jinja/statement_parser.hpp"

namespace maestro::jinja {

/// Segment is a part of a template's output with one origin.
struct Segment {
  std::string text;
  Origin origin = Origin::in_template;

  friend bool operator==(const Segment&, const Segment&) = default;
};

/// Template is a parsed and checked chat template. It behaves as in transformers' apply_chat_template, with
/// trim_blocks, lstrip_blocks, the extensions loopcontrols and generation, and a sandbox in which only namespaces can
/// change; it has raise_exception, strftime_now, and tojson without escapes. It reads no file and no clock:
/// strftime_now gives the day that is passed. Copies share the parsed template, and several threads may use it at once.
class Template {
 public:
  /// Parses a template.
  /// @throws BadArgument naming the line of malformed text; Unsupported naming the line of a construct that is not
  ///         implemented.
  explicit Template(std::string_view source) : body_(std::make_shared<const Body>(parse_template(source))) {}

  /// Renders the template into segments of alternating origin. The result is deterministic.
  /// @throws BadData naming the line of a failure, including raise_exception and exceeded limits; Unsupported naming
  ///         the line of a construct that is not implemented.
  std::vector<Segment> render(const std::vector<Variable>& variables, const Day& today = {},
                              const Limits& limits = {}) const {
    std::vector<Segment> segments;
    const Characters text = detail::Interpreter(limits, today).render(*body_, variables);
    for (const char32_t c : text) {
      const Origin origin = (c & from_data) != 0 ? Origin::in_data : Origin::in_template;
      if (segments.empty() || segments.back().origin != origin) segments.push_back({{}, origin});
      append_utf8(segments.back().text, c);
    }
    return segments;
  }

 private:
  std::shared_ptr<const Body> body_;
};

}  // namespace maestro::jinja
