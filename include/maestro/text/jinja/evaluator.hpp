#pragma once

/// @file
/// The evaluation of expressions.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/filters.hpp"
#include "maestro/text/jinja/globals.hpp"
#include "maestro/text/jinja/syntax.hpp"

namespace maestro::jinja {

/// Scope holds the names of a block. It lives as long as the block, or as the rendering if a macro was defined inside.
struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> names{};
  bool captured = false;

  Value* find(std::string_view name) {
    for (auto& [known, value] : names) {
      if (known == name) return &value;
    }
    return nullptr;
  }
  void set(std::string_view name, Value value) {
    if (Value* known = find(name)) {
      *known = std::move(value);
    } else {
      names.emplace_back(name, std::move(value));
    }
  }
};

namespace detail {

/// Evaluator evaluates expressions. Macros and loops are called through its virtual members.
class Evaluator {
 public:
  Evaluator(const Limits& limits, const Day& today) : budget_(limits), today_(today) {}
  virtual ~Evaluator() = default;
  Evaluator(const Evaluator&) = delete;
  Evaluator& operator=(const Evaluator&) = delete;

  Value evaluate(const Expression& e, Scope& scope) {
    budget_.take();
    budget_.enter();
    const std::size_t line = std::exchange(line_, e.line);
    Value result = dispatch(e, scope);
    line_ = line;
    budget_.leave();
    return result;
  }

 protected:
  virtual Value call_macro(const FunctionData& macro, Arguments arguments) = 0;
  virtual Value call_loop(const LoopData& loop, const Value& items) = 0;

  Value dispatch(const Expression& e, Scope& scope) {
    switch (e.kind) {
      case ExpressionKind::constant:
        return e.value;
      case ExpressionKind::name:
        return lookup(e.name, scope);
      case ExpressionKind::list:
        return sequence_value(evaluate_all(e.items, scope));
      case ExpressionKind::tuple:
        return sequence_value(evaluate_all(e.items, scope), SequenceKind::tuple);
      case ExpressionKind::dict:
        return evaluate_dict(e, scope);
      case ExpressionKind::attribute:
        return attribute_of(evaluate(e.items[0], scope), e.name, e.value, budget_);
      case ExpressionKind::element:
        return evaluate_element(e, scope);
      case ExpressionKind::call:
        return evaluate_call(e, scope, {});
      case ExpressionKind::filter:
        return apply_filter(e.name, evaluate(e.items[0], scope), evaluate_arguments(e, scope), budget_);
      case ExpressionKind::test: {
        const Value value = evaluate(e.items[0], scope);
        return Value(apply_test(e.name, value, evaluate_arguments(e, scope), budget_));
      }
      case ExpressionKind::unary:
        return evaluate_unary(e, scope);
      case ExpressionKind::binary:
        return evaluate_binary(e, scope);
      case ExpressionKind::concatenation:
        return evaluate_concatenation(e, scope);
      case ExpressionKind::comparison:
        return evaluate_comparison(e, scope);
      case ExpressionKind::condition:
        if (truth(evaluate(e.items[0], scope))) return evaluate(e.items[1], scope);
        return e.items.size() > 2 ? evaluate(e.items[2], scope)
                                  : undefined_value("an inline if without else has no value here");
      default:
        throw BadData("an expression stands where it has no meaning");
    }
  }

  /// Gives the value of a name: that of an enclosing scope or a variable, or a function of the environment.
  Value lookup(const std::string& name, Scope& scope) {
    for (Scope* s = &scope; s != nullptr; s = s->parent) {
      budget_.take(1 + s->names.size() / 8);
      if (const Value* value = s->find(name)) return *value;
    }
    if (has_name(global_names, name)) {
      for (const auto& [known, value] : globals_) {
        if (known == name) return value;
      }
      globals_.emplace_back(name, Value(std::make_shared<const FunctionData>(FunctionData{.name = name})));
      return globals_.back().second;
    }
    if (has_name(missing_globals, name)) throw Unsupported("the function '" + name + "' is not implemented");
    return undefined_value("'" + name + "' is undefined");
  }

  std::vector<Value> evaluate_all(const std::vector<Expression>& items, Scope& scope) {
    std::vector<Value> values;
    values.reserve(items.size());
    for (const Expression& item : items) values.push_back(evaluate(item, scope));
    return values;
  }
  Value evaluate_dict(const Expression& e, Scope& scope) {
    std::vector<std::pair<Value, Value>> items;
    for (std::size_t i = 0; i + 1 < e.items.size(); i += 2) {
      Value key = evaluate(e.items[i], scope);
      set_key(items, std::move(key), evaluate(e.items[i + 1], scope), budget_);
    }
    return dict_value(std::move(items));
  }
  Value evaluate_element(const Expression& e, Scope& scope) {
    const Value object = evaluate(e.items[0], scope);
    const Expression& index = e.items[1];
    if (index.kind != ExpressionKind::slice) return element_of(object, evaluate(index, scope), budget_);
    check_defined(object);
    const Sequence* sequence = object.get_if<Sequence>();
    const bool reads =
        sequence != nullptr && (*sequence)->kind != SequenceKind::iterator && (*sequence)->kind != SequenceKind::view;
    const std::vector<Value> bounds = evaluate_all(index.items, scope);
    if (object.text() == nullptr && !reads) {
      return undefined_value("a value of type " + type_name(object) + " cannot be sliced");
    }
    return slice(object, bounds[0], bounds[1], bounds[2], budget_);
  }

  Arguments evaluate_arguments(const Expression& e, Scope& scope) {
    Arguments arguments;
    for (std::size_t i = 1; i < e.items.size(); ++i) {
      const Expression& item = e.items[i];
      if (item.kind == ExpressionKind::star) {
        for (Value& value : items_of(evaluate(item.items[0], scope), budget_)) {
          arguments.positional.push_back(std::move(value));
        }
      } else if (item.kind == ExpressionKind::double_star) {
        add_named(arguments, evaluate(item.items[0], scope));
      } else {
        arguments.positional.push_back(evaluate(item, scope));
      }
    }
    for (const auto& [name, value] : e.named) arguments.named.emplace_back(name, evaluate(value, scope));
    return arguments;
  }
  static void add_named(Arguments& arguments, const Value& value) {
    const Dict* dict = value.get_if<Dict>();
    if (dict == nullptr) throw BadData("** needs a dictionary, not a value of type " + type_name(value));
    for (const auto& [key, item] : (*dict)->items) {
      if (key.text() == nullptr) throw BadData("** needs texts as keys");
      arguments.named.emplace_back(to_utf8(*key.text()), item);
    }
  }

  /// Evaluates a call.
  /// @param caller  the macro of a call block; None if there is none.
  Value evaluate_call(const Expression& e, Scope& scope, const Value& caller) {
    const Value callee = evaluate(e.items[0], scope);
    Arguments arguments = evaluate_arguments(e, scope);
    if (!caller.none()) arguments.named.emplace_back("caller", caller);
    check_defined(callee);
    if (const Loop* loop = callee.get_if<Loop>()) {
      const Bound given("loop", arguments, {"iterable"}, 1);
      return call_loop(**loop, *given[0]);
    }
    const Function* function = callee.get_if<Function>();
    if (function == nullptr) throw BadData("a value of type " + type_name(callee) + " cannot be called");
    if ((*function)->kind == FunctionData::Kind::macro) return call_macro(**function, std::move(arguments));
    if ((*function)->kind == FunctionData::Kind::global) return call_global(**function, arguments);
    if (const Loop* loop = (*function)->self.get_if<Loop>()) {
      return call_loop_method(**loop, (*function)->name, arguments);
    }
    return call_method((*function)->self, (*function)->name, arguments, budget_);
  }

  Value call_loop_method(LoopData& loop, const std::string& name, const Arguments& arguments) {
    if (name == "cycle") {
      if (arguments.positional.empty()) throw BadData("loop.cycle needs items");
      return arguments.positional[loop.index % arguments.positional.size()];
    }
    for (const Value& value : arguments.positional) {
      if (depth_of(value) > 0) throw Unsupported("loop.changed is implemented for texts and numbers only");
    }
    const bool same = loop.changed && loop.changed->size() == arguments.positional.size() &&
                      std::equal(loop.changed->begin(), loop.changed->end(), arguments.positional.begin(),
                                 [&](const Value& a, const Value& b) { return equal(a, b, budget_); });
    loop.changed = arguments.positional;
    return Value(!same);
  }

  Value call_global(const FunctionData& function, const Arguments& arguments) {
    const std::string& name = function.name;
    if (name == "range") return range(arguments, budget_);
    if (name == "dict") return dict_value(collected_items("dict", arguments, budget_));
    if (name == "namespace") return make_namespace(arguments);
    if (name == "joiner") return make_joiner(arguments);
    if (name == "joiner()") {
      return std::exchange(function.used, true) ? function.self : Value(Characters());
    }
    const Bound given(name, arguments, {name == "raise_exception" ? "message" : "format"}, 1);
    if (name == "strftime_now") return Value(date_text(given.text(0), today_));
    throw BadData("the template says: " + to_utf8(printed(*given[0], budget_)));
  }
  Value make_joiner(const Arguments& arguments) {
    const Bound given("joiner", arguments, {"sep"});
    FunctionData joiner{.name = "joiner()", .self = given[0].value_or(Value(Characters(U", ")))};
    return Value(std::make_shared<const FunctionData>(std::move(joiner)));
  }
  Value make_namespace(const Arguments& arguments) {
    budget_.take(16);
    auto space = std::make_unique<NamespaceData>();
    for (auto& [key, value] : collected_items("namespace", arguments, budget_)) {
      if (key.text() == nullptr) throw BadData("a namespace needs texts as names");
      space->items.emplace_back(checked_attribute(to_utf8(*key.text())), value);
    }
    namespaces_.push_back(std::move(space));
    return Value(Value::Held(namespaces_.back().get()));
  }
  static std::string checked_attribute(std::string name) {
    if (!name.starts_with('_')) return name;
    throw BadData("the attribute '" + name + "' of a namespace begins with an underscore, which is forbidden");
  }

  Value evaluate_unary(const Expression& e, Scope& scope) {
    const Value value = evaluate(e.items[0], scope);
    if (e.name == "not") return Value(!truth(value));
    check_defined(value);
    if (const std::optional<std::int64_t> integer = as_integer(value)) {
      return e.name == "-" ? arithmetic("-", Value(std::int64_t{0}), Value(*integer), budget_) : Value(*integer);
    }
    const double* real = value.get_if<double>();
    if (real == nullptr) throw BadData("the sign " + e.name + " does not take a value of type " + type_name(value));
    return Value(e.name == "-" ? -*real : *real);
  }
  Value evaluate_binary(const Expression& e, Scope& scope) {
    Value left = evaluate(e.items[0], scope);
    if (e.name == "and" || e.name == "or") {
      return truth(left) == (e.name == "or") ? left : evaluate(e.items[1], scope);
    }
    const Value right = evaluate(e.items[1], scope);
    if (e.name == "%" && left.text() != nullptr) {
      const Sequence* sequence = right.get_if<Sequence>();
      const bool tuple = sequence != nullptr && (*sequence)->kind == SequenceKind::tuple;
      return percent_format(*left.text(), tuple ? (*sequence)->items : std::vector<Value>{right}, budget_);
    }
    return arithmetic(e.name, left, right, budget_);
  }
  Value evaluate_concatenation(const Expression& e, Scope& scope) {
    const std::vector<Value> values = evaluate_all(e.items, scope);
    Characters out;
    std::size_t safe = 0;
    for (const Value& value : values) {
      const Text* text = value.get_if<Text>();
      safe += text != nullptr && text->safe;
      print_value(out, value, budget_);
    }
    if (safe > 0 && safe < values.size()) {
      throw Unsupported("a text of the filter safe with another text is not implemented");
    }
    budget_.take_text(out.size());
    return Value(std::move(out));
  }
  Value evaluate_comparison(const Expression& e, Scope& scope) {
    Value left = evaluate(e.items[0], scope);
    for (std::size_t i = 0; i < e.names.size(); ++i) {
      Value right = evaluate(e.items[i + 1], scope);
      if (!compare(e.names[i], left, right)) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  }
  bool compare(const std::string& name, const Value& a, const Value& b) {
    if (name == "in" || name == "not in") return contains(b, a, budget_) == (name == "in");
    return comparison_test(name, a, &b, budget_) > 0;
  }

  Budget budget_;
  Day today_;
  std::size_t line_ = 1;
  std::vector<std::unique_ptr<NamespaceData>> namespaces_;
  std::vector<std::pair<std::string, Value>> globals_;
};

}  // namespace detail

}  // namespace maestro::jinja
