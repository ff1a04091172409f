#pragma once

/// @file
/// The methods of texts, lists and dictionaries.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "maestro/text/jinja/access.hpp"
#include "maestro/text/jinja/print.hpp"

namespace maestro::jinja {

/// Gives text.replace(from, to, count); a negative count replaces all.
inline Characters replaced(CharacterView text, CharacterView from, CharacterView to, std::int64_t count,
                           Budget& budget) {
  Characters out;
  std::size_t at = 0;
  budget.take_search(text.size(), from.size());
  for (std::int64_t done = 0; count < 0 || done < count; ++done) {
    const std::size_t found = from.empty() && done > 0 ? at + 1 : find_text(text, from, at);
    if (found == CharacterView::npos || found > text.size()) break;
    budget.take_text(to.size());
    out += text.substr(at, found - at);
    out += to;
    budget.check_size(out.size());
    at = found + from.size();
  }
  out += text.substr(std::min(at, text.size()));
  return out;
}

namespace detail {

inline Value part(const Text& whole, CharacterView view) {
  return Value(Text{std::make_shared<const Characters>(view), whole.safe});
}

/// Gives the result of str.split and str.rsplit.
inline Value split(const Text& self, const Bound& given, bool from_right, Budget& budget) {
  CharacterView text = self.view();
  const std::int64_t limit = given.integer(1, -1);
  std::vector<Value> parts;
  const auto more = [&] { return limit < 0 || static_cast<std::int64_t>(parts.size()) < limit; };
  const auto keep = [&](CharacterView view) {
    budget.take_text(view.size() + 8);
    parts.push_back(part(self, view));
  };
  if (!given.given(0)) {
    text = stripped(text, from_right ? Ends::right : Ends::left);
    while (!text.empty() && more()) {
      const auto end = from_right ? std::find_if(text.rbegin(), text.rend(), is_space) - text.rbegin()
                                  : std::find_if(text.begin(), text.end(), is_space) - text.begin();
      const auto size = static_cast<std::size_t>(end);
      keep(from_right ? text.substr(text.size() - size) : text.substr(0, size));
      text = from_right ? text.substr(0, text.size() - size) : text.substr(size);
      text = stripped(text, from_right ? Ends::right : Ends::left);
    }
    if (!text.empty()) keep(text);
  } else {
    const CharacterView separator = given.text(0);
    if (separator.empty()) throw BadData("split needs a separator that is not empty");
    budget.take_search(text.size(), separator.size());
    while (more()) {
      const std::size_t found = from_right ? find_last_text(text, separator) : find_text(text, separator);
      if (found == CharacterView::npos) break;
      const std::size_t behind = found + separator.size();
      keep(from_right ? text.substr(behind) : text.substr(0, found));
      text = from_right ? text.substr(0, found) : text.substr(behind);
    }
    keep(text);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return sequence_value(std::move(parts));
}

inline std::vector<CharacterView> lines_of(CharacterView text, bool keep_ends) {
  std::vector<CharacterView> lines;
  while (!text.empty()) {
    const auto end = static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_line_end) - text.begin());
    std::size_t next = std::min(end + 1, text.size());
    if (next < text.size() && plain(text[end]) == '\r' && plain(text[next]) == '\n') ++next;
    lines.push_back(text.substr(0, keep_ends ? next : end));
    text.remove_prefix(next);
  }
  return lines;
}

/// Gives the result of str.partition and str.rpartition.
inline Value partition(const Text& self, const Bound& given, bool from_right, Budget& budget) {
  const CharacterView text = self.view();
  const CharacterView separator = given.text(0);
  budget.take_search(text.size(), separator.size());
  if (separator.empty()) throw BadData("partition needs a separator that is not empty");
  const std::size_t found = from_right ? find_last_text(text, separator) : find_text(text, separator);
  std::vector<Value> parts(3, part(self, {}));
  if (found == CharacterView::npos) {
    parts[from_right ? 2 : 0] = part(self, text);
  } else {
    parts[0] = part(self, text.substr(0, found));
    parts[1] = part(self, text.substr(found, separator.size()));
    parts[2] = part(self, text.substr(found + separator.size()));
  }
  return sequence_value(std::move(parts), SequenceKind::tuple);
}

/// Gives the result of str.startswith and str.endswith, with one text or a tuple of texts.
inline bool has_end(CharacterView text, const Value& end, bool front) {
  if (const Sequence* ends = end.get_if<Sequence>(); ends != nullptr && (*ends)->kind == SequenceKind::tuple) {
    for (const Value& one : (*ends)->items) {
      if (has_end(text, one, front)) return true;
    }
    return false;
  }
  if (end.text() == nullptr) throw BadData("startswith and endswith need a text or a tuple of texts");
  const std::size_t size = end.text()->size();
  if (size > text.size()) return false;
  return same_text(front ? text.substr(0, size) : text.substr(text.size() - size), *end.text());
}

/// Gives the result of str.center, ljust, rjust and zfill.
inline Value padded(const Text& self, const std::string& name, const Bound& given, Budget& budget) {
  const CharacterView text = self.view();
  const std::int64_t width = given.integer(0, 0);
  if (width <= static_cast<std::int64_t>(text.size())) return part(self, text);
  budget.take_text(static_cast<std::size_t>(width));
  const std::size_t space = static_cast<std::size_t>(width) - text.size();
  const CharacterView fill = given.text(1, name == "zfill" ? CharacterView(U"0") : CharacterView(U" "));
  if (fill.size() != 1) throw BadData(name + " needs one character to fill with");
  std::size_t left = name == "ljust" ? 0 : space;
  if (name == "center") left = space / 2 + (space & static_cast<std::size_t>(width) & 1);
  const bool sign = name == "zfill" && !text.empty() && (plain(text[0]) == '-' || plain(text[0]) == '+');
  Characters out(sign ? text.substr(0, 1) : CharacterView());
  out += Characters(left, fill.front());
  out += sign ? text.substr(1) : text;
  out += Characters(space - left, fill.front());
  return Value(std::move(out));
}

/// Gives the result of str.format, which supports only {}, {0} and {name}.
inline Value formatted(const Text& self, const Arguments& arguments, Budget& budget) {
  const CharacterView text = self.view();
  Characters out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char32_t c = plain(text[i]);
    if (c != '{' && c != '}') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 1 < text.size() && plain(text[i + 1]) == c) {
      out.push_back(text[i++]);
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && plain(text[end]) != '}') ++end;
    if (c == '}' || end == text.size()) throw BadData("format: a single brace; write {{ or }} for one");
    const std::string field = to_utf8(text.substr(i + 1, end - i - 1));
    if (field.find_first_of(".[:!{") != std::string::npos) {
      throw Unsupported("format: only {}, {0} and {name} are implemented, not {" + field + "}");
    }
    const Value* value = nullptr;
    if (field.find_first_not_of("0123456789") == std::string::npos && field.size() < 9) {
      const std::size_t index = field.empty() ? next++ : std::stoul(field);
      if (index < arguments.positional.size()) value = &arguments.positional[index];
    } else {
      for (const auto& [name, given] : arguments.named) {
        if (name == field) value = &given;
      }
    }
    if (value == nullptr) throw BadData("format: there is no argument {" + field + "}");
    print_value(out, *value, budget);
    i = end;
  }
  budget.take_text(out.size());
  return Value(std::move(out));
}

}  // namespace detail

/// Gives separator.join(items), with items printed as by str.
inline Characters joined(CharacterView separator, const std::vector<Value>& items, Budget& budget) {
  Characters out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    budget.take_text(separator.size());
    if (i > 0) out += separator;
    print_value(out, items[i], budget);
  }
  return out;
}

namespace detail {

inline Value text_case(const Text& self, const std::string& name) {
  if (name == "lower") return part(self, mapped(self.view(), lower_case));
  if (name == "upper") return part(self, mapped(self.view(), upper_case));
  if (name == "capitalize") return part(self, capitalized(self.view()));
  Characters out(self.view());
  bool inside = false;
  for (char32_t& c : out) {
    const bool cased = lower_case(c) != c || upper_case(c) != c;
    if (cased) c = inside ? lower_case(c) : upper_case(c);
    inside = cased;
  }
  return part(self, out);
}

inline Value find_method(const Text& self, const std::string& name, const Arguments& arguments, Budget& budget) {
  const Bound given(name, arguments, {"sub", "start"}, 1);
  const CharacterView text = self.view();
  budget.take_search(text.size(), given.text(0).size());
  if (name == "count") {
    std::int64_t count = 0;
    const CharacterView sub = given.text(0);
    if (sub.empty()) return integer_value(text.size() + 1);
    for (std::size_t at = find_text(text, sub); at != CharacterView::npos; at = find_text(text, sub, at + sub.size())) {
      ++count;
    }
    return Value(count);
  }
  std::int64_t start = given.integer(1, 0);
  if (start < 0) start = std::max<std::int64_t>(0, start + static_cast<std::int64_t>(text.size()));
  if (name == "rfind" && start > 0) throw Unsupported("rfind with a start is not implemented");
  const std::size_t found = name == "rfind" ? find_last_text(text, given.text(0))
                                            : find_text(text, given.text(0), static_cast<std::size_t>(start));
  if (found != CharacterView::npos) return integer_value(found);
  if (name == "index") throw BadData("index: the text does not contain what is looked for");
  return Value(std::int64_t{-1});
}

inline Value text_method(const Text& self, const std::string& name, const Arguments& arguments, Budget& budget) {
  const CharacterView text = self.view();
  budget.take_text(text.size());
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    const Bound given(name, arguments, {"chars"});
    const Ends ends = name == "strip" ? Ends::both : name == "lstrip" ? Ends::left : Ends::right;
    const CharacterView chars = given.given(0) ? given.text(0) : CharacterView();
    budget.take_search(text.size(), chars.size());
    return part(self, stripped(text, ends, given.given(0) ? &chars : nullptr));
  }
  if (name == "split" || name == "rsplit") {
    return split(self, Bound(name, arguments, {"sep", "maxsplit"}), name == "rsplit", budget);
  }
  if (name == "startswith" || name == "endswith") {
    const Bound given(name, arguments, {"prefix"}, 1);
    return Value(has_end(text, *given[0], name == "startswith"));
  }
  if (name == "replace") {
    const Bound given(name, arguments, {"old", "new", "count"}, 2);
    return Value(replaced(text, given.text(0), given.text(1), given.integer(2, -1), budget));
  }
  if (name == "find" || name == "rfind" || name == "index" || name == "count") {
    return find_method(self, name, arguments, budget);
  }
  if (name == "join") {
    const Bound given(name, arguments, {"iterable"}, 1);
    const std::vector<Value> items = items_of(*given[0], budget);
    for (const Value& item : items) {
      if (item.text() == nullptr) throw BadData("join takes texts, not a value of type " + type_name(item));
    }
    return Value(joined(text, items, budget));
  }
  if (name == "splitlines") {
    const Bound given(name, arguments, {"keepends"});
    std::vector<Value> lines;
    budget.take(text.size());
    for (const CharacterView line : lines_of(text, given.flag(0))) lines.push_back(part(self, line));
    return sequence_value(std::move(lines));
  }
  if (name == "partition" || name == "rpartition") {
    return partition(self, Bound(name, arguments, {"sep"}, 1), name == "rpartition", budget);
  }
  if (name == "removeprefix" || name == "removesuffix") {
    const Bound given(name, arguments, {"fix"}, 1);
    const bool front = name == "removeprefix";
    const CharacterView fix = given.text(0);
    if (!has_end(text, *given[0], front)) return part(self, text);
    return part(self, front ? text.substr(fix.size()) : text.substr(0, text.size() - fix.size()));
  }
  if (name == "format") return formatted(self, arguments, budget);
  if (name == "center" || name == "ljust" || name == "rjust" || name == "zfill") {
    return padded(self, name, Bound(name, arguments, {"width", "fillchar"}, 1), budget);
  }
  const Bound none(name, arguments, {});
  if (name == "isspace") return Value(!text.empty() && std::all_of(text.begin(), text.end(), is_space));
  if (name == "isdigit") {
    const auto wide = [](char32_t c) { return plain(c) >= 0x80; };
    if (std::any_of(text.begin(), text.end(), wide)) throw Unsupported("isdigit beyond ASCII is not implemented");
    return Value(!text.empty() && std::all_of(text.begin(), text.end(), is_digit));
  }
  return text_case(self, name);
}

inline Value dict_method(const Value& self, const std::string& name, const Arguments& arguments, Budget& budget) {
  const DictData& dict = **self.get_if<Dict>();
  if (name == "get") {
    const Bound given(name, arguments, {"key", "default"}, 1);
    if (!arguments.named.empty()) throw BadData("get takes no named arguments");
    const Value* value = find_key(dict, *given[0], budget);
    return value != nullptr ? *value : given[1].value_or(Value());
  }
  const Bound none(name, arguments, {});
  if (name == "copy") return self;
  std::vector<Value> items;
  budget.take(4 * dict.items.size());
  for (const auto& [key, value] : dict.items) {
    if (name == "items") {
      items.push_back(sequence_value({key, value}, SequenceKind::tuple));
    } else {
      items.push_back(name == "keys" ? key : value);
    }
  }
  return sequence_value(std::move(items), SequenceKind::view);
}

inline Value list_method(const Value& self, const std::string& name, const Arguments& arguments, Budget& budget) {
  if (name == "copy") return self;
  const Bound given(name, arguments, {"value"}, 1);
  const SequenceData& list = **self.get_if<Sequence>();
  std::int64_t count = 0;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (!equal(list.items[i], *given[0], budget)) continue;
    if (name == "index") return integer_value(i);
    ++count;
  }
  if (name == "index") throw BadData("index: the list does not contain what is looked for");
  return Value(count);
}

}  // namespace detail

/// Calls a method of a text, list or dictionary.
/// @throws BadData for arguments that do not fit; Unsupported for what is not implemented.
inline Value call_method(const Value& self, const std::string& name, const Arguments& arguments, Budget& budget) {
  if (const Text* text = self.get_if<Text>()) return detail::text_method(*text, name, arguments, budget);
  if (self.is<Dict>()) return detail::dict_method(self, name, arguments, budget);
  return detail::list_method(self, name, arguments, budget);
}

}  // namespace maestro::jinja
