#pragma once

/// @file
/// The parser of a template's expressions. Source: the parser of Jinja2 3.1.

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/filters.hpp"
#include "maestro/text/jinja/lexer.hpp"
#include "maestro/text/jinja/names.hpp"
#include "maestro/text/jinja/syntax.hpp"

namespace maestro::jinja::detail {

/// ExpressionParser reads the expressions in the tokens of a template.
class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  /// Reads one expression, or several separated by commas, which are a tuple.
  Expression parse_tuple(bool with_condition = true, std::string_view end_name = {}, bool parentheses = false) {
    const std::size_t line = current().line;
    const Outer outer(*this);
    std::vector<Expression> items;
    bool tuple = false;
    for (;;) {
      if (!items.empty()) expect(",");
      if (ends_tuple(end_name)) break;
      items.push_back(with_condition ? parse_expression() : parse_or());
      if (!at(",")) break;
      tuple = true;
    }
    if (!tuple && items.empty() && !parentheses) fail("an expression is missing");
    outer.check();
    if (!tuple && !items.empty()) return std::move(items.front());
    return measured({.kind = ExpressionKind::tuple, .line = line, .items = std::move(items)});
  }

  Expression parse_expression() {
    const Nesting nesting(*this);
    const Outer outer(*this);
    const std::size_t line = current().line;
    const std::size_t begin = place_;
    Expression result = parse_or();
    while (at_name("if")) {
      soften(begin);
      const Soft branch(*this, true);
      next();
      Expression condition{.kind = ExpressionKind::condition, .line = line};
      condition.items.push_back(parse_or());
      condition.items.push_back(std::move(result));
      if (at_name("else")) {
        next();
        condition.items.push_back(parse_expression());
      }
      result = measured(std::move(condition));
    }
    outer.check();
    return result;
  }

 protected:
  /// Outer counts nested expressions. The outermost one refuses unknown names that no condition guards.
  class Outer {
   public:
    explicit Outer(ExpressionParser& parser) : parser_(parser) { ++parser_.level_; }
    ~Outer() { --parser_.level_; }
    Outer(const Outer&) = delete;
    Outer& operator=(const Outer&) = delete;
    void check() const {
      if (parser_.level_ == 1 && !parser_.unknown_.empty()) throw BadArgument(parser_.unknown_.front().second);
    }

   private:
    ExpressionParser& parser_;
  };
  /// Nesting counts how deep expressions and blocks are nested.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser) : parser_(parser) {
      if (++parser_.depth_ > 150) parser_.fail("it is nested more than 150 levels deep");
    }
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };
  /// Soft defers errors about unknown names to the rendering during its lifetime, if `on`.
  class Soft {
   public:
    Soft(ExpressionParser& parser, bool on, bool replace = false) : parser_(parser), before_(parser.soft_) {
      parser_.soft_ = replace ? on : (on || before_);
    }
    ~Soft() { parser_.soft_ = before_; }
    Soft(const Soft&) = delete;
    Soft& operator=(const Soft&) = delete;

   private:
    ExpressionParser& parser_;
    bool before_;
  };

  const Token& current() const { return tokens_[place_]; }
  const Token& look() const { return tokens_[std::min(place_ + 1, tokens_.size() - 1)]; }
  const Token& next() {
    const Token& token = tokens_[place_];
    if (place_ + 1 < tokens_.size()) ++place_;
    return token;
  }
  bool at(std::string_view symbol) const { return current().kind == TokenKind::symbol && current().name == symbol; }
  bool at_name(std::string_view name) const { return current().kind == TokenKind::name && current().name == name; }
  bool at(TokenKind kind) const { return current().kind == kind; }

  [[noreturn]] void fail(const std::string& what) const { throw BadArgument(at_line(current().line) + what); }
  [[noreturn]] void refuse(const std::string& what) const { throw Unsupported(at_line(current().line) + what); }

  static std::string shown(const Token& token) {
    switch (token.kind) {
      case TokenKind::name:
      case TokenKind::symbol:
        return "'" + token.name + "'";
      case TokenKind::text:
        return "a text";
      case TokenKind::integer:
      case TokenKind::real:
        return "a number";
      case TokenKind::variable_end:
        return "'}}'";
      case TokenKind::block_end:
        return "'%}'";
      case TokenKind::end:
        return "the end of the template";
      default:
        return "a tag";
    }
  }
  void expect(std::string_view symbol) {
    if (!at(symbol)) fail("'" + std::string(symbol) + "' is missing before " + shown(current()));
    next();
  }
  void expect(TokenKind kind) {
    if (!at(kind))
      fail(std::string(kind == TokenKind::block_end ? "'%}'" : "'}}'") + " is missing before " + shown(current()));
    next();
  }
  std::string expect_name() {
    if (!at(TokenKind::name)) fail("a name is missing before " + shown(current()));
    return next().name;
  }

  bool ends_tuple(std::string_view end_name) const {
    return at(TokenKind::variable_end) || at(TokenKind::block_end) || at(")") ||
           (!end_name.empty() && at_name(end_name));
  }

  /// Reads `left op right op ...` from left to right.
  template <class Read>
  Expression parse_chain(std::initializer_list<std::string_view> symbols, Read&& read) {
    Expression left = read();
    for (;;) {
      std::string found;
      for (const std::string_view symbol : symbols) {
        if (at(symbol) || ((symbol == "and" || symbol == "or") && at_name(symbol))) found = symbol;
      }
      if (found.empty()) return left;
      Expression both{.kind = ExpressionKind::binary, .line = current().line, .name = found};
      next();
      both.items.push_back(std::move(left));
      both.items.push_back(read());
      left = measured(std::move(both));
    }
  }
  /// Computes the height of the tree, which limits the depth of its evaluation.
  Expression measured(Expression e) const {
    e.height = 1;
    for (const Expression& item : e.items) e.height = std::max(e.height, item.height + 1);
    for (const auto& [name, value] : e.named) e.height = std::max(e.height, value.height + 1);
    if (e.height > 300) fail("an expression has more than 300 operations inside each other or in a row");
    return e;
  }

  Expression parse_or() {
    return parse_chain({"or"}, [&] { return parse_chain({"and"}, [&] { return parse_not(); }); });
  }
  Expression parse_not() {
    if (!at_name("not")) return parse_comparison();
    const Nesting nesting(*this);
    Expression result{.kind = ExpressionKind::unary, .line = current().line, .name = "not"};
    next();
    result.items.push_back(parse_not());
    return measured(std::move(result));
  }

  Expression parse_comparison() {
    Expression result{.kind = ExpressionKind::comparison, .line = current().line};
    result.items.push_back(parse_sum());
    for (;;) {
      std::string found;
      for (const char* symbol : {"==", "!=", "<", "<=", ">", ">="}) {
        if (at(symbol)) found = symbol;
      }
      if (at_name("in")) found = "in";
      if (at_name("not") && look().kind == TokenKind::name && look().name == "in") {
        next();
        found = "not in";
      }
      if (found.empty()) break;
      next();
      result.names.push_back(found);
      result.items.push_back(parse_sum());
    }
    return result.names.empty() ? std::move(result.items.front()) : measured(std::move(result));
  }

  Expression parse_sum() {
    return parse_chain({"+", "-"}, [&] { return parse_concatenation(); });
  }
  Expression parse_concatenation() {
    Expression result{.kind = ExpressionKind::concatenation, .line = current().line};
    result.items.push_back(parse_product());
    while (at("~")) {
      next();
      result.items.push_back(parse_product());
    }
    return result.items.size() == 1 ? std::move(result.items.front()) : measured(std::move(result));
  }
  Expression parse_product() {
    return parse_chain({"*", "/", "//", "%"}, [&] { return parse_chain({"**"}, [&] { return parse_unary(true); }); });
  }

  Expression parse_unary(bool with_filter) {
    const Nesting nesting(*this);
    Expression result;
    if (at("-") || at("+")) {
      result = {.kind = ExpressionKind::unary, .line = current().line, .name = current().name};
      next();
      result.items.push_back(parse_unary(false));
    } else {
      result = parse_primary();
    }
    for (;;) {
      result = measured(std::move(result));
      if (at(".") || at("[")) {
        result = parse_subscript(std::move(result));
      } else if (at("(")) {
        result = parse_call(std::move(result));
      } else if (with_filter && at("|")) {
        next();
        result = parse_filter(std::move(result));
        if (at(".") || at("[")) break;
      } else if (with_filter && at_name("is")) {
        result = parse_test(std::move(result));
        if (at(".") || at("[")) break;
      } else {
        break;
      }
    }
    return result;
  }

  Expression parse_primary() {
    const Token& token = current();
    Expression result{.kind = ExpressionKind::constant, .line = token.line};
    if (at("(")) {
      next();
      result = parse_tuple(true, {}, true);
      expect(")");
      return result;
    }
    if (at("[")) return parse_list();
    if (at("{")) return parse_dict();
    if (token.kind == TokenKind::name) {
      next();
      const std::string& name = token.name;
      if (name == "true" || name == "True" || name == "false" || name == "False") {
        result.value = Value(name == "true" || name == "True");
      } else if (name != "none" && name != "None") {
        result.kind = ExpressionKind::name;
        result.name = name;
        note_name(name);
      }
      return result;
    }
    if (token.kind == TokenKind::integer) {
      result.value = Value(next().integer);
    } else if (token.kind == TokenKind::real) {
      result.value = Value(next().real);
    } else if (token.kind == TokenKind::text) {
      Characters text;
      while (at(TokenKind::text)) text += next().text;
      result.value = Value(std::move(text));
    } else {
      fail("an expression is missing before " + shown(token));
    }
    return result;
  }

  Expression parse_list() {
    Expression result{.kind = ExpressionKind::list, .line = current().line};
    expect("[");
    while (!at("]")) {
      if (!result.items.empty()) expect(",");
      if (at("]")) break;
      result.items.push_back(parse_expression());
    }
    expect("]");
    return result;
  }
  Expression parse_dict() {
    Expression result{.kind = ExpressionKind::dict, .line = current().line};
    expect("{");
    while (!at("}")) {
      if (!result.items.empty()) expect(",");
      if (at("}")) break;
      result.items.push_back(parse_expression());
      expect(":");
      result.items.push_back(parse_expression());
    }
    expect("}");
    return result;
  }

  Expression parse_subscript(Expression object) {
    Expression result{.kind = ExpressionKind::element, .line = current().line};
    if (at(".")) {
      next();
      if (at(TokenKind::name)) {
        result.kind = ExpressionKind::attribute;
        result.name = next().name;
        result.value = text_value(result.name);
        result.items.push_back(std::move(object));
        return result;
      }
      if (!at(TokenKind::integer)) fail("a name or a number is missing before " + shown(current()));
      result.items.push_back(std::move(object));
      result.items.push_back({.line = current().line, .value = Value(current().integer)});
      next();
      return result;
    }
    expect("[");
    result.items.push_back(std::move(object));
    if (at("]")) fail("an expression is missing before ']'");
    result.items.push_back(parse_index());
    if (at(",")) refuse("a subscript of several parts is not implemented");
    expect("]");
    return result;
  }
  Expression parse_index() {
    Expression slice{.kind = ExpressionKind::slice, .line = current().line};
    const Expression absent{.kind = ExpressionKind::constant, .line = current().line};
    for (std::size_t part = 0; part < 3; ++part) {
      const bool given = !at(":") && !at("]") && !at(",");
      slice.items.push_back(given ? parse_expression() : absent);
      if (part == 0 && !at(":")) return std::move(slice.items.front());
      if (!at(":")) break;
      if (part < 2) next();
    }
    while (slice.items.size() < 3) slice.items.push_back(absent);
    return measured(std::move(slice));
  }

  void parse_arguments(Expression& call) {
    expect("(");
    bool comma = false;
    while (!at(")")) {
      if (comma) {
        expect(",");
        if (at(")")) break;
      }
      comma = true;
      if (at("*") || at("**")) {
        Expression star{.kind = at("*") ? ExpressionKind::star : ExpressionKind::double_star, .line = current().line};
        next();
        star.items.push_back(parse_expression());
        call.items.push_back(measured(std::move(star)));
      } else if (at(TokenKind::name) && look().kind == TokenKind::symbol && look().name == "=") {
        const std::string name = next().name;
        next();
        call.named.emplace_back(name, parse_expression());
      } else {
        if (!call.named.empty()) fail("a positional argument follows a named one");
        call.items.push_back(parse_expression());
      }
    }
    expect(")");
  }
  Expression parse_call(Expression callee) {
    Expression result{.kind = ExpressionKind::call, .line = current().line};
    result.items.push_back(std::move(callee));
    parse_arguments(result);
    return result;
  }

  /// Reads the name of a filter and its arguments, after `|`.
  Expression parse_filter(Expression input) {
    Expression result{.kind = ExpressionKind::filter, .line = current().line};
    result.name = parse_dotted("filter");
    result.items.push_back(std::move(input));
    if (at("(")) parse_arguments(result);
    check_name(result, detail::find_filter(result.name) != nullptr, has_name(missing_filters, result.name));
    return result;
  }
  std::string parse_dotted(const char* what) {
    std::string name = expect_name();
    if (at(".")) refuse(std::string(what) + "s with a dot in their name are not implemented");
    return name;
  }
  Expression parse_test(Expression input) {
    Expression result{.kind = ExpressionKind::test, .line = current().line};
    next();
    const bool negated = at_name("not");
    if (negated) next();
    result.name = parse_dotted("test");
    result.items.push_back(std::move(input));
    const bool starts = at(TokenKind::name) || at(TokenKind::text) || at(TokenKind::integer) || at(TokenKind::real) ||
                        at("[") || at("{");
    if (at("(")) {
      parse_arguments(result);
    } else if (starts && !at_name("else") && !at_name("or") && !at_name("and")) {
      if (at_name("is")) fail("tests cannot be chained by 'is'");
      Expression argument = parse_primary();
      while (at(".") || at("[") || at("(")) {
        argument = measured(at("(") ? parse_call(std::move(argument)) : parse_subscript(std::move(argument)));
      }
      result.items.push_back(std::move(argument));
    }
    check_name(result, has_name(test_names, result.name), has_name(missing_tests, result.name));
    if (!negated) return result;
    Expression negation{.kind = ExpressionKind::unary, .line = result.line, .name = "not"};
    negation.items.push_back(measured(std::move(result)));
    return negation;
  }

  /// Refuses an unknown filter or test, as Jinja does when it compiles a template, except in conditions and in what
  /// they guard.
  void check_name(const Expression& use, bool known, bool missing) {
    if (known) return;
    const std::string what = use.kind == ExpressionKind::filter ? "filter" : "test";
    if (missing) throw Unsupported(at_line(use.line) + "the " + what + " '" + use.name + "' is not implemented");
    if (soft_) return;
    unknown_.push_back({place_, at_line(use.line) + "there is no " + what + " '" + use.name + "'"});
  }
  /// Drops the errors since `on_begin`, which belong to a condition.
  void soften(std::size_t begin) {
    while (!unknown_.empty() && unknown_.back().first >= begin) unknown_.pop_back();
  }

  void note_name(const std::string& name) {
    if (macros_.empty()) return;
    macros_.back().caller |= name == "caller";
    macros_.back().varargs |= name == "varargs";
    macros_.back().kwargs |= name == "kwargs";
  }

  struct MacroUse {
    bool caller = false;
    bool varargs = false;
    bool kwargs = false;
  };
  std::vector<MacroUse> macros_;
  bool soft_ = false;

 private:
  std::vector<Token> tokens_;
  std::size_t place_ = 0;
  std::size_t depth_ = 0;
  std::size_t level_ = 0;
  std::vector<std::pair<std::size_t, std::string>> unknown_;
};

}  // namespace maestro::jinja::detail
