#pragma once

/// @file
/// The chat template of a model, which is evaluated.

#include <charconv>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_render.hpp"
#include "maestro/text/jinja/template.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

namespace detail {

inline bool read_number(std::string_view text, int low, int high, int& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && result.ptr == text.data() + text.size() && value >= low && value <= high;
}

}  // namespace detail

/// Reads a day: "26 Jul 2024" or "2024-07-26".
/// @throws BadArgument showing both forms.
inline jinja::Day parse_day(std::string_view text) {
  jinja::Day day;
  const auto fail = [&] {
    throw BadArgument("the date '" + replace_invalid_utf8(text.substr(0, 40)) +
                      "' is no day; write it as \"26 Jul 2024\" or \"2024-07-26\"");
  };
  bool good = false;
  if (text.size() == 10 && text[4] == '-' && text[7] == '-') {
    good = detail::read_number(text.substr(0, 4), 1, 9999, day.year) &&
           detail::read_number(text.substr(5, 2), 1, 12, day.month) &&
           detail::read_number(text.substr(8, 2), 1, 31, day.day);
  } else if (text.size() == 11 && text[2] == ' ' && text[6] == ' ') {
    for (std::size_t i = 0; i < jinja::detail::month_names.size(); ++i) {
      if (jinja::detail::month_names[i].substr(0, 3) != text.substr(3, 3)) continue;
      day.month = static_cast<int>(i + 1);
      good = detail::read_number(text.substr(7, 4), 1, 9999, day.year) &&
             detail::read_number(text.substr(0, 2), 1, 31, day.day);
    }
  }
  if (!good || day.day > jinja::detail::days_in(day.year, day.month)) fail();
  return day;
}

/// ChatTemplate is a chat template with its variables: the tokenizer's special tokens (bos_token, ...) and those that a
/// caller adds. The variables count as the template's own text. The messages do not, so their text never becomes a
/// special token. The names of the three roles count as the template's, which may build a special token from them. The
/// object does not change after its construction, so several threads may use it at once.
class ChatTemplate {
 public:
  /// Parses a template.
  /// @param name  name of the file or model, for messages.
  /// @throws BadArgument for a malformed template or a variable that the conversation sets; Unsupported for a part of
  ///         the language that is not implemented; both name `name`, and the line.
  ChatTemplate(std::string name, std::string_view source, std::vector<jinja::Variable> variables = {})
      : name_(std::move(name)), source_(source), template_(read(name_, source)), variables_(std::move(variables)) {
    for (const jinja::Variable& variable : variables_) {
      for (const char* own : {"messages", "tools", "documents", "add_generation_prompt"}) {
        if (variable.first == own) {
          throw BadArgument(name_ + ": the variable '" + variable.first +
                            "' of a chat template is set by the conversation; leave it out");
        }
      }
    }
  }

  const std::string& name() const { return name_; }
  const std::string& source() const { return source_; }
  /// Tells whether the template's text contains the name of a variable.
  bool mentions(std::string_view variable) const { return source_.find(variable) != std::string::npos; }

  /// Renders a conversation into segments. Each segment comes either from the template or from the messages.
  /// @throws BadArgument for no messages or a date that is not valid; Unsupported for a role other than system, user
  ///         and assistant; BadData naming the line if the template refuses the conversation or cannot be evaluated.
  std::vector<jinja::Segment> render(const ChatFormat& format, std::span<const Message> messages,
                                     GenerationPrompt generation) const {
    detail::check_roles(messages);
    std::vector<jinja::Variable> variables{
        {"messages", messages_value(format, messages)},
        {"tools", jinja::Value()},
        {"documents", jinja::Value()},
        {"add_generation_prompt", jinja::Value(generation == GenerationPrompt::add)}};
    if (format.thinking != Thinking::by_template) {
      variables.emplace_back("enable_thinking", jinja::Value(format.thinking == Thinking::on));
    }
    variables.insert(variables.end(), variables_.begin(), variables_.end());
    jinja::Limits limits;
    for (const Message& message : messages) limits.steps += 16 * message.content.size();
    try {
      return template_.render(variables, parse_day(format.date), limits);
    } catch (const BadData& error) {
      throw BadData(name_ + ": " + error.what());
    } catch (const Unsupported& error) {
      throw Unsupported(name_ + ": " + error.what());
    }
  }

 private:
  static jinja::Template read(const std::string& name, std::string_view source) {
    try {
      return jinja::Template(source);
    } catch (const BadArgument& error) {
      throw BadArgument(name + ": " + error.what());
    } catch (const Unsupported& error) {
      throw Unsupported(name + ": " + error.what());
    }
  }

  static jinja::Value message_value(std::string_view role, std::string_view content) {
    return jinja::dict_value(
        {{jinja::text_value("role"), jinja::text_value(role)},
         {jinja::text_value("content"), jinja::text_value(replace_invalid_utf8(content), jinja::Origin::in_data)}});
  }
  static jinja::Value messages_value(const ChatFormat& format, std::span<const Message> messages) {
    std::vector<jinja::Value> values;
    if (format.default_system && messages.front().role != "system") {
      values.push_back(message_value("system", *format.default_system));
    }
    for (const Message& message : messages) values.push_back(message_value(message.role, message.content));
    return jinja::sequence_value(std::move(values));
  }

  std::string name_;
  std::string source_;
  jinja::Template template_;
  std::vector<jinja::Variable> variables_;
};

/// Makes the chat format of a template.
/// @throws BadArgument or Unsupported as the constructor of ChatTemplate.
inline ChatFormat chat_format_of_template(std::string name, std::string_view source,
                                          std::vector<jinja::Variable> variables = {}) {
  return {.kind = ChatKind::own,
          .chat_template = std::make_shared<const ChatTemplate>(std::move(name), source, std::move(variables))};
}

}  // namespace maestro
