#pragma once

/// @file
/// The syntax tree of a template.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "maestro/text/jinja/value.hpp"

namespace maestro::jinja {

enum class ExpressionKind : std::uint8_t {
  constant,       ///< `value`
  name,           ///< `name`
  list,           ///< items
  tuple,          ///< items
  dict,           ///< key, value, key, value, ...
  attribute,      ///< items[0].name; `value` is the name as a text
  element,        ///< items[0][items[1]]
  slice,          ///< begin, end, step; None where one is left out
  call,           ///< items[0](the other items and `named`)
  filter,         ///< items[0] | name(the other items and `named`)
  test,           ///< items[0] is name(the other items and `named`)
  star,           ///< *items[0] in a call
  double_star,    ///< **items[0] in a call
  unary,          ///< `name`: "-", "+", "not"
  binary,         ///< `name`: "+", "-", "*", "/", "//", "%", "**", "and", "or"
  concatenation,  ///< items joined by ~
  comparison,     ///< items[0] names[0] items[1] names[1] ...
  condition,      ///< test, value if it holds, value if not (may be missing)
};

struct Expression {
  ExpressionKind kind = ExpressionKind::constant;
  std::size_t line = 1;
  std::string name{};
  Value value{};
  std::vector<Expression> items{};
  std::vector<std::pair<std::string, Expression>> named{};
  std::vector<std::string> names{};
  std::size_t height = 1;  ///< of the tree
};

enum class StatementKind : std::uint8_t {
  data,          ///< `text`
  output,        ///< expressions
  if_chain,      ///< expressions[i] guards bodies[i]; one body more is that of else
  for_loop,      ///< target, iterable, filter if `filtered`; bodies: the loop's, that of else
  set,           ///< target = expression
  set_block,     ///< target = body, through `filter` if it is there
  macro,         ///< `name`, `parameters`; expressions: the last parameters' defaults
  call_block,    ///< expressions[0] is the call, the others defaults of `parameters`
  filter_block,  ///< body through expressions[0]
  with,          ///< targets[i] = expressions[i]
  scope,         ///< body; {% generation %}
  do_break,
  do_continue,
};

/// Target is the target of an assignment: a name, an attribute of a namespace, or several of both.
struct Target {
  std::string name{};       ///< empty: `parts`
  std::string attribute{};  ///< not empty: of the namespace `name`
  std::vector<Target> parts{};
};

struct Statement {
  StatementKind kind = StatementKind::data;
  std::size_t line = 1;
  std::string name{};
  Characters text{};
  std::vector<Target> targets{};
  std::vector<Expression> expressions{};
  std::vector<std::vector<Statement>> bodies{};
  std::vector<std::string> parameters{};
  bool filtered = false;      ///< a loop has a filter
  bool recursive = false;     ///< a loop may be called
  bool takes_caller = false;  ///< a macro's body names caller, varargs, kwargs
  bool takes_varargs = false;
  bool takes_kwargs = false;
};

using Body = std::vector<Statement>;

}  // namespace maestro::jinja
