#pragma once

/// @file
/// The construction of JSON values in time linear in the text. It refuses text that the grammar allows and this library
/// does not.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace maestro::detail {

/// JsonBuilder receives the events of nlohmann's parser and builds the value. `problem` describes an error in one line;
/// it is empty if there was none. (nlohmann's own parser with a callback is quadratic, since it scans all members of an
/// object after each of them.)
/// @tparam Json  nlohmann::json or nlohmann::ordered_json; with the latter the time is quadratic in an object's members
template <class Json>
class JsonBuilder {
 public:
  JsonBuilder(std::string_view text, int max_depth) : text_(text), max_depth_(max_depth) {}

  Json& value() { return value_; }
  const std::string& problem() const { return problem_; }
  /// Tells whether the text is valid JSON but was refused.
  bool is_valid() const { return valid_; }

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(typename Json::number_integer_t value) { return add(Json(value)); }
  bool number_unsigned(typename Json::number_unsigned_t value) { return add(Json(value)); }
  bool number_float(typename Json::number_float_t value, const std::string&) { return add(Json(value)); }
  bool string(std::string& value) { return add(Json(std::move(value))); }
  bool binary(typename Json::binary_t&) { return false; }  // JSON text has none
  bool start_object(std::size_t) { return enter(Json::object()); }
  bool start_array(std::size_t) { return enter(Json::array()); }
  bool end_object() { return leave(); }
  bool end_array() { return leave(); }
  bool key(std::string& name) {
    Json& object = *open_.back();
    if (object.contains(name)) {
      valid_ = true;
      return fail("key " + quoted(name) + " appears twice in one JSON object");
    }
    slot_ = &object[std::move(name)];
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::json::exception& error) {
    const std::string_view before = text_.substr(0, std::min(position, text_.size()));
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t column = before.size() - (before.rfind('\n') + 1);
    const std::string place = " at line " + std::to_string(line) + ", column " + std::to_string(column);
    if (error.id == 406) return fail("the number " + quoted(token) + place + " is too large");
    if (std::string_view(error.what()).find("ill-formed UTF-8") != std::string_view::npos) {
      return fail("text that is not UTF-8" + place);
    }
    if (position > text_.size() || before.empty()) return fail("it ends too early," + place);
    return fail("unexpected " + quoted(before.substr(before.size() - 1)) + place);
  }

 private:
  /// Gives a short printable form of a text.
  static std::string quoted(std::string_view text) {
    constexpr std::size_t limit = 96;
    return nlohmann::json(std::string(text.substr(0, limit)))
               .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) +
           (text.size() > limit ? "..." : "");
  }
  bool fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
    return false;
  }
  Json* put(Json value) {
    if (open_.empty()) return &(value_ = std::move(value));
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    return &(*slot_ = std::move(value));
  }
  bool add(Json value) {
    put(std::move(value));
    return true;
  }
  bool enter(Json value) {
    if (static_cast<int>(open_.size()) >= max_depth_) {
      valid_ = true;
      return fail("JSON nested deeper than " + std::to_string(max_depth_) + " levels");
    }
    open_.push_back(put(std::move(value)));
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  int max_depth_;
  Json value_;
  std::vector<Json*> open_;  // objects and arrays that are not closed yet; none of them moves meanwhile
  Json* slot_ = nullptr;     // of the member whose name was read last
  std::string problem_;
  bool valid_ = false;
};

}  // namespace maestro::detail
