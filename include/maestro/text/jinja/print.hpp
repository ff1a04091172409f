#pragma once

/// @file
/// Values as Python prints them, and as JSON.

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/budget.hpp"
#include "maestro/text/jinja/operators.hpp"
#include "maestro/text/jinja/value.hpp"

namespace maestro::jinja {

/// Gives Python's repr of a float: the shortest digits that are read as the same number.
inline std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  const std::string_view all(buffer, static_cast<std::size_t>(end - buffer));
  const std::size_t e = all.find('e');
  int exponent = 0;
  const std::string_view power = all.substr(all[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(power.data(), power.data() + power.size(), exponent);
  if (exponent < -4 || exponent >= 16) return std::string(all);
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed).ptr;
  std::string text(buffer, fixed);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

namespace detail {

inline void append_ascii(Characters& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<unsigned char>(c));
}
inline void append_hex(Characters& out, char32_t c, std::size_t digits, char32_t mark) {
  for (std::size_t i = digits; i-- > 0;) {
    out.push_back(static_cast<unsigned char>("0123456789abcdef"[(c >> (4 * i)) & 0xf]) | mark);
  }
}

/// Tells whether repr leaves a character as it is. It escapes the categories "other" and "separator".
inline bool is_printable(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad) return false;
  if (c != 0x20 && is_space(c)) return false;
  return !((c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           (c >= 0xe000 && c <= 0xf8ff) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe ||
           (c >= 0xe0000 && c <= 0xe00ff) || c >= 0xe01f0 || (c >= 0x600 && c <= 0x605) || c == 0x61c || c == 0x6dd ||
           c == 0x70f || c == 0x180e);
}

/// Printer appends repr and str of values.
class Printer {
 public:
  Printer(Characters& out, Budget& budget) : out_(out), budget_(budget) {}

  /// Appends str of a value; a text is appended as it is.
  void print(const Value& value) {
    if (const Characters* text = value.text()) {
      budget_.take_text(text->size());
      out_ += *text;
    } else if (!value.undefined()) {
      repr(value);
    }
  }

  void repr(const Value& value) {
    budget_.take();
    if (const Characters* text = value.text()) return repr_text(*text);
    if (const Sequence* sequence = value.get_if<Sequence>()) return repr_sequence(**sequence);
    if (const Dict* dict = value.get_if<Dict>()) return repr_dict(**dict);
    if (value.undefined()) return append_ascii(out_, "Undefined");
    if (value.none()) return append_ascii(out_, "None");
    if (const bool* flag = value.get_if<bool>()) return append_ascii(out_, *flag ? "True" : "False");
    if (const std::int64_t* integer = value.get_if<std::int64_t>()) return append_ascii(out_, std::to_string(*integer));
    if (const double* real = value.get_if<double>()) return append_ascii(out_, float_text(*real));
    throw Unsupported("to print a value of type " + type_name(value) + " is not implemented");
  }

 private:
  void repr_text(CharacterView text) {
    budget_.take_text(text.size());
    const bool single = find_text(text, U"'") != CharacterView::npos;
    const bool both = single && find_text(text, U"\"") != CharacterView::npos;
    const char32_t quote = single && !both ? '"' : '\'';
    out_.push_back(quote);
    for (const char32_t marked : text) {
      const char32_t c = plain(marked);
      const char32_t mark = marked & from_data;
      const char32_t letter = c == '\n' ? 'n' : c == '\r' ? 'r' : c == '\t' ? 't' : c;
      if (c == quote || c == '\\' || letter != c) {
        out_.push_back('\\' | mark);
        out_.push_back(letter | mark);
      } else if (is_printable(c)) {
        out_.push_back(marked);
      } else {
        out_.push_back('\\' | mark);
        out_.push_back((c < 0x100 ? 'x' : c < 0x10000 ? 'u' : 'U') | mark);
        append_hex(out_, c, c < 0x100 ? 2 : c < 0x10000 ? 4 : 8, mark);
      }
    }
    out_.push_back(quote);
  }
  void repr_sequence(const SequenceData& sequence) {
    const bool tuple = sequence.kind == SequenceKind::tuple;
    if (!tuple && sequence.kind != SequenceKind::list) {
      throw Unsupported("to print an iterator, a range or a dictionary view is not implemented; use the filter list");
    }
    out_.push_back(tuple ? '(' : '[');
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) append_ascii(out_, ", ");
      repr(sequence.items[i]);
    }
    if (tuple && sequence.items.size() == 1) out_.push_back(',');
    out_.push_back(tuple ? ')' : ']');
  }
  void repr_dict(const DictData& dict) {
    out_.push_back('{');
    for (std::size_t i = 0; i < dict.items.size(); ++i) {
      if (i > 0) append_ascii(out_, ", ");
      repr(dict.items[i].first);
      append_ascii(out_, ": ");
      repr(dict.items[i].second);
    }
    out_.push_back('}');
  }

  Characters& out_;
  Budget& budget_;
};

}  // namespace detail

/// Appends str(value) to a text.
inline void print_value(Characters& out, const Value& value, Budget& budget) {
  detail::Printer(out, budget).print(value);
  budget.check_size(out.size());
}
/// Gives str(value).
inline Characters printed(const Value& value, Budget& budget) {
  Characters out;
  print_value(out, value, budget);
  return out;
}

/// JsonStyle is the format of JSON.
struct JsonStyle {
  bool ascii = false;
  bool sorted = false;
  bool lines = false;       ///< one item per line
  Characters indent{};      ///< of one level
  Characters item = U", ";  ///< between items
  Characters key = U": ";   ///< between key and value
};

namespace detail {

/// JsonPrinter appends json.dumps of a value.
class JsonPrinter {
 public:
  JsonPrinter(const JsonStyle& style, Characters& out, Budget& budget) : style_(style), out_(out), budget_(budget) {}

  void print(const Value& value, std::size_t level = 0) {
    budget_.take(1 + level * style_.indent.size() / 4);
    budget_.check_size(out_.size());
    if (const Characters* text = value.text()) return print_text(*text);
    if (const Sequence* sequence = value.get_if<Sequence>()) return print_sequence(**sequence, level);
    if (const Dict* dict = value.get_if<Dict>()) return print_dict(**dict, level);
    append_ascii(out_, scalar(value));
  }

 private:
  static std::string scalar(const Value& value) {
    if (value.none()) return "null";
    if (const bool* flag = value.get_if<bool>()) return *flag ? "true" : "false";
    if (const std::int64_t* integer = value.get_if<std::int64_t>()) return std::to_string(*integer);
    if (const double* real = value.get_if<double>()) {
      if (std::isnan(*real)) return "NaN";
      if (std::isinf(*real)) return *real < 0 ? "-Infinity" : "Infinity";
      return float_text(*real);
    }
    throw BadData("a value of type " + type_name(value) + " cannot become JSON");
  }
  void unit(std::uint32_t value, char32_t mark) {
    out_.push_back('\\' | mark);
    out_.push_back('u' | mark);
    append_hex(out_, value, 4, mark);
  }
  void print_text(CharacterView text) {
    budget_.take_text(text.size());
    out_.push_back('"');
    static constexpr CharacterView special = U"\"\\\b\f\n\r\t";
    static constexpr CharacterView letters = U"\"\\bfnrt";
    for (const char32_t marked : text) {
      const char32_t c = plain(marked);
      const char32_t mark = marked & from_data;
      const std::size_t place = special.find(c);
      if (place != CharacterView::npos) {
        out_.push_back('\\' | mark);
        out_.push_back(letters[place] | mark);
      } else if (c < 0x20 || (style_.ascii && c > 0x7e && c < 0x10000)) {
        unit(c, mark);
      } else if (style_.ascii && c >= 0x10000) {
        unit(0xd800 + ((c - 0x10000) >> 10), mark);
        unit(0xdc00 + ((c - 0x10000) & 0x3ff), mark);
      } else {
        out_.push_back(marked);
      }
    }
    out_.push_back('"');
  }
  void begin_line(std::size_t level) {
    if (!style_.lines) return;
    out_.push_back('\n');
    for (std::size_t i = 0; i < level; ++i) out_ += style_.indent;
  }
  void print_sequence(const SequenceData& sequence, std::size_t level) {
    if (sequence.kind != SequenceKind::list && sequence.kind != SequenceKind::tuple) {
      throw BadData("an iterator, a range or a dictionary view cannot become JSON; use the filter list");
    }
    if (sequence.items.empty()) return append_ascii(out_, "[]");
    out_.push_back('[');
    for (std::size_t i = 0; i < sequence.items.size(); ++i) {
      if (i > 0) out_ += style_.item;
      begin_line(level + 1);
      print(sequence.items[i], level + 1);
    }
    begin_line(level);
    out_.push_back(']');
  }
  void print_dict(const DictData& dict, std::size_t level) {
    if (dict.items.empty()) return append_ascii(out_, "{}");
    std::vector<std::pair<Value, Value>> sorted;
    if (style_.sorted) {
      sorted = dict.items;
      sort_values(sorted, [&](const auto& a, const auto& b) { return less(a.first, b.first, budget_); });
    }
    const auto& items = style_.sorted ? sorted : dict.items;
    out_.push_back('{');
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += style_.item;
      begin_line(level + 1);
      const Characters* text = items[i].first.text();
      if (text != nullptr) {
        print_text(*text);
      } else {
        if (items[i].first.is<Sequence>()) throw BadData("a tuple cannot be a key of JSON");
        print_text(to_characters(scalar(items[i].first)));
      }
      out_ += style_.key;
      print(items[i].second, level + 1);
    }
    begin_line(level);
    out_.push_back('}');
  }

  const JsonStyle& style_;
  Characters& out_;
  Budget& budget_;
};

}  // namespace detail

/// Gives json.dumps(value).
/// @throws BadData for a value that JSON cannot hold.
inline Characters json_text(const Value& value, const JsonStyle& style, Budget& budget) {
  Characters out;
  detail::JsonPrinter(style, out, budget).print(value);
  budget.check_size(out.size());
  return out;
}

}  // namespace maestro::jinja
