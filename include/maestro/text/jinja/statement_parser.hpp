#pragma once

/// @file
/// The parser of a template's statements. Source: the parser of Jinja2 3.1, with break, continue and generation.

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/text/jinja/parser.hpp"

namespace maestro::jinja {

namespace detail {

class StatementParser : private ExpressionParser {
 public:
  explicit StatementParser(std::string_view source) : ExpressionParser(tokens_of(source)) {}

  Body parse() {
    Body body = parse_body({});
    if (!at(TokenKind::end)) fail(shown(current()) + " closes nothing that is open");
    return body;
  }

 private:
  using Ends = std::initializer_list<std::string_view>;

  bool at_any(Ends ends) const {
    for (const std::string_view end : ends) {
      if (at_name(end)) return true;
    }
    return false;
  }

  /// Reads until one of the tags `ends`, which is then the current token, or to the end of the template.
  Body parse_body(Ends ends) {
    const Nesting nesting(*this);
    Body body;
    while (!at(TokenKind::end)) {
      const std::size_t line = current().line;
      if (at(TokenKind::data)) {
        Statement data{.kind = StatementKind::data, .line = line};
        data.text = next().text;
        body.push_back(std::move(data));
      } else if (at(TokenKind::variable_begin)) {
        next();
        Statement output{.kind = StatementKind::output, .line = line};
        output.expressions.push_back(parse_tuple());
        expect(TokenKind::variable_end);
        body.push_back(std::move(output));
      } else {
        next();
        if (at_any(ends)) return body;
        body.push_back(parse_statement());
        expect(TokenKind::block_end);
      }
    }
    return body;
  }
  /// Reads the body of a tag up to one of `ends`, which remains the current token.
  Body parse_block(Ends ends) {
    if (at(":")) next();
    expect(TokenKind::block_end);
    Body body = parse_body(ends);
    if (at(TokenKind::end)) fail("the tag '" + std::string(*ends.begin()) + "' is missing");
    return body;
  }
  /// Reads the body of a tag, which has its own scope, and its `end`.
  Body parse_scope(std::string_view end) {
    const Soft hard(*this, false, true);
    Body body = parse_block({end});
    next();
    return body;
  }

  Statement parse_statement() {
    if (!at(TokenKind::name)) fail("a tag needs a name, not " + shown(current()));
    const Token& token = current();
    const std::string& name = token.name;
    Statement statement{.line = token.line};
    if (name == "if") return parse_if(std::move(statement));
    if (name == "for") return parse_for(std::move(statement));
    if (name == "set") return parse_set(std::move(statement));
    if (name == "macro") return parse_macro(std::move(statement));
    if (name == "call") return parse_call_block(std::move(statement));
    if (name == "filter") return parse_filter_block(std::move(statement));
    if (name == "with") return parse_with(std::move(statement));
    if (name == "break" || name == "continue") {
      if (loops_ == 0) fail("'" + name + "' stands outside of a loop");
      statement.kind = name == "break" ? StatementKind::do_break : StatementKind::do_continue;
      next();
      return statement;
    }
    if (name == "print") return parse_print(std::move(statement));
    if (name == "generation") {
      next();
      statement.kind = StatementKind::scope;
      const Loops none(*this, 0);
      statement.bodies.push_back(parse_scope("endgeneration"));
      return statement;
    }
    fail_tag(name);
  }
  [[noreturn]] void fail_tag(const std::string& name) const {
    if (has_name(missing_tags, name)) refuse("the tag '" + name + "' is not implemented");
    fail("there is no tag '" + name + "' that belongs here");
  }

  /// Loops sets the number of open loops during its lifetime.
  class Loops {
   public:
    Loops(StatementParser& parser, std::size_t count) : parser_(parser), before_(parser.loops_) {
      parser_.loops_ = count;
    }
    ~Loops() { parser_.loops_ = before_; }
    Loops(const Loops&) = delete;
    Loops& operator=(const Loops&) = delete;

   private:
    StatementParser& parser_;
    std::size_t before_;
  };

  Statement parse_if(Statement statement) {
    statement.kind = StatementKind::if_chain;
    const Soft soft(*this, true);
    for (;;) {
      next();
      statement.expressions.push_back(parse_tuple(false));
      statement.bodies.push_back(parse_block({"endif", "elif", "else"}));
      if (!at_name("elif")) break;
    }
    if (at_name("else")) {
      next();
      statement.bodies.push_back(parse_block({"endif"}));
    }
    next();
    return statement;
  }

  Statement parse_for(Statement statement) {
    statement.kind = StatementKind::for_loop;
    next();
    statement.targets.push_back(parse_target("in", false));
    if (!at_name("in")) fail("'in' is missing before " + shown(current()));
    next();
    statement.expressions.push_back(parse_tuple(false, "recursive"));
    const Soft hard(*this, false, true);
    if (at_name("if")) {
      next();
      statement.filtered = true;
      statement.expressions.push_back(parse_expression());
    }
    statement.recursive = at_name("recursive");
    if (statement.recursive) next();
    {
      const Loops inside(*this, statement.recursive ? 1 : loops_ + 1);
      statement.bodies.push_back(parse_block({"endfor", "else"}));
    }
    if (at_name("else")) {
      next();
      statement.bodies.push_back(parse_block({"endfor"}));
    }
    next();
    return statement;
  }

  /// Reads the target of an assignment: names separated by commas, or an attribute of a namespace if allowed.
  Target parse_target(std::string_view end, bool with_namespace) {
    const Nesting nesting(*this);
    Target tuple;
    bool comma = false;
    for (;;) {
      if (!tuple.parts.empty()) expect(",");
      if (ends_tuple(end) || at("=")) break;
      tuple.parts.push_back(parse_one_target(with_namespace));
      if (!at(",")) break;
      comma = true;
    }
    if (tuple.parts.empty()) fail("a name is missing before " + shown(current()));
    return comma ? tuple : std::move(tuple.parts.front());
  }
  Target parse_one_target(bool with_namespace) {
    if (at("(")) {
      next();
      Target inner = parse_target({}, with_namespace);
      expect(")");
      return inner;
    }
    Target target;
    target.name = parse_new_name();
    if (with_namespace && at(".")) {
      next();
      target.attribute = expect_name();
    }
    return target;
  }
  std::string parse_new_name() {
    const std::string name = expect_name();
    for (const char* constant : {"true", "false", "none", "True", "False", "None"}) {
      if (name == constant) fail("'" + name + "' cannot be assigned to");
    }
    return name;
  }

  Statement parse_set(Statement statement) {
    next();
    statement.targets.push_back(parse_target({}, true));
    if (at("=")) {
      next();
      statement.kind = StatementKind::set;
      statement.expressions.push_back(parse_tuple());
      return statement;
    }
    statement.kind = StatementKind::set_block;
    if (at("|")) statement.expressions.push_back(parse_filters());
    statement.bodies.push_back(parse_scope("endset"));
    return statement;
  }
  /// Reads the filters of a body, each after `|`. The body is the constant with which they begin.
  Expression parse_filters() {
    Expression result;
    const Outer outer(*this);
    while (at("|")) {
      next();
      result = measured(parse_filter(std::move(result)));
    }
    outer.check();
    return result;
  }

  void parse_parameters(Statement& statement) {
    expect("(");
    while (!at(")")) {
      if (!statement.parameters.empty()) expect(",");
      statement.parameters.push_back(parse_new_name());
      if (at("=")) {
        next();
        statement.expressions.push_back(parse_expression());
      } else if (!statement.expressions.empty()) {
        fail("a parameter without a default follows one with a default");
      }
    }
    expect(")");
  }
  Statement parse_macro(Statement statement) {
    statement.kind = StatementKind::macro;
    next();
    statement.name = parse_new_name();
    const Soft hard(*this, false, true);
    macros_.emplace_back();
    parse_parameters(statement);
    take_macro_body(statement, "endmacro");
    return statement;
  }
  void take_macro_body(Statement& statement, std::string_view end) {
    const Loops none(*this, 0);
    statement.bodies.push_back(parse_scope(end));
    const MacroUse use = macros_.back();
    macros_.pop_back();
    const auto taken = [&](const char* name) {
      for (const std::string& parameter : statement.parameters) {
        if (parameter == name) return true;
      }
      return false;
    };
    if (taken("caller")) refuse("a parameter with the name 'caller' is not implemented");
    statement.takes_caller = use.caller;
    statement.takes_varargs = use.varargs && !taken("varargs");
    statement.takes_kwargs = use.kwargs && !taken("kwargs");
    if (macros_.empty()) return;
    macros_.back().caller |= use.caller;
    macros_.back().varargs |= use.varargs;
    macros_.back().kwargs |= use.kwargs;
  }
  Statement parse_call_block(Statement statement) {
    statement.kind = StatementKind::call_block;
    next();
    Statement caller{.kind = StatementKind::macro, .line = statement.line, .name = "caller"};
    macros_.emplace_back();
    if (at("(")) parse_parameters(caller);
    statement.expressions.push_back(parse_expression());
    if (statement.expressions.back().kind != ExpressionKind::call) fail("a call block needs a call");
    take_macro_body(caller, "endcall");
    statement.bodies.emplace_back();
    statement.bodies.back().push_back(std::move(caller));
    return statement;
  }

  Statement parse_filter_block(Statement statement) {
    statement.kind = StatementKind::filter_block;
    next();
    const Outer outer(*this);
    Expression filter = parse_filter({});
    while (at("|")) {
      next();
      filter = measured(parse_filter(std::move(filter)));
    }
    outer.check();
    statement.expressions.push_back(std::move(filter));
    statement.bodies.push_back(parse_scope("endfilter"));
    return statement;
  }

  Statement parse_with(Statement statement) {
    statement.kind = StatementKind::with;
    next();
    while (!at(TokenKind::block_end) && !at(TokenKind::end)) {
      if (!statement.targets.empty()) expect(",");
      statement.targets.push_back(parse_one_target(false));
      expect("=");
      statement.expressions.push_back(parse_expression());
    }
    statement.bodies.push_back(parse_scope("endwith"));
    return statement;
  }

  Statement parse_print(Statement statement) {
    statement.kind = StatementKind::output;
    next();
    while (!at(TokenKind::block_end) && !at(TokenKind::end)) {
      if (!statement.expressions.empty()) expect(",");
      statement.expressions.push_back(parse_expression());
    }
    return statement;
  }

  std::size_t loops_ = 0;
};

}  // namespace detail

/// Parses a template.
/// @throws BadArgument naming the line of malformed text; Unsupported naming the line of a construct that is not
///         implemented.
inline Body parse_template(std::string_view source) { return detail::StatementParser(source).parse(); }

}  // namespace maestro::jinja
