#pragma once

/// @file
/// A chat template that can be rendered: the constructs of Jinja2 that chat templates use.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/text/jinja/interpreter.hpp"
#include "maestro/text/jinja/statement_parser.hpp"

namespace maestro::jinja {

/// Segment is a part of what a template writes, all from one origin.
struct Segment {
  std::string text;
  Origin origin = Origin::in_template;

  friend bool operator==(const Segment&, const Segment&) = default;
};

/// Template is a chat template, read and checked. It behaves as in transformers' apply_chat_template (trim_blocks,
/// lstrip_blocks, the extensions loopcontrols and generation, a sandbox that changes nothing but namespaces;
/// raise_exception, strftime_now, tojson without escapes). It reads no file, and no clock: strftime_now writes the
/// given day. Copies share the template; const use from several threads is safe.
class Template {
 public:
  /// @throws BadArgument naming the line of what is malformed, Unsupported naming the line of what is not implemented.
  explicit Template(std::string_view source) : body_(std::make_shared<const Body>(parse_template(source))) {}

  /// Renders the template into segments of alternating origin. The result is deterministic.
  /// @throws BadData naming the line of what fails (raise_exception among it) or goes beyond the limits, Unsupported
  /// of what is not implemented.
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
