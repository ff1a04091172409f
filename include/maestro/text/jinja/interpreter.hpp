#pragma once

/// @file
/// The execution of a template's statements.

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/evaluator.hpp"
#include "maestro/text/jinja/lexer.hpp"

namespace maestro::jinja {

/// Variable is a name and a value with which a template is rendered.
using Variable = std::pair<std::string, Value>;

namespace detail {

/// Interpreter makes one rendering. Source: the semantics and scopes of Jinja2 3.1.
class Interpreter final : private Evaluator {
 public:
  Interpreter(const Limits& limits, const Day& today) : Evaluator(limits, today) {}
  ~Interpreter() override {
    // Macros and the scopes that they see hold each other.
    for (const auto& scope : kept_) scope->names.clear();
    for (const auto& space : namespaces_) space->items.clear();
  }

  Characters render(const Body& body, const std::vector<Variable>& variables) {
    Characters out;
    auto context = std::make_unique<Scope>();
    for (const auto& [name, value] : variables) context->set(name, value);
    const auto root = open(context.get());
    kept_.push_back(std::move(context));
    try {
      run(body, *root.scope, out);
    } catch (const BadData& error) {
      throw BadData(at_line(line_) + error.what());
    } catch (const Unsupported& error) {
      throw Unsupported(at_line(line_) + error.what());
    }
    return out;
  }

 private:
  enum class Flow : std::uint8_t { on, stop, next };

  /// Block owns a scope while a block runs. Scopes that macros refer to are kept for the rest of the rendering.
  struct Block {
    Interpreter* owner;
    std::unique_ptr<Scope> scope;

    Block(Interpreter* interpreter, std::unique_ptr<Scope> made) : owner(interpreter), scope(std::move(made)) {}
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() {
      if (scope->captured) owner->kept_.push_back(std::move(scope));
    }
  };
  Block open(Scope* parent) {
    budget_.take(8);
    auto scope = std::make_unique<Scope>();
    scope->parent = parent;
    return Block(this, std::move(scope));
  }
  static void capture(Scope& scope) {
    for (Scope* s = &scope; s != nullptr && !s->captured; s = s->parent) s->captured = true;
  }

  Flow run(const Body& body, Scope& scope, Characters& out) {
    for (const Statement& statement : body) {
      budget_.take();
      line_ = statement.line;
      const Flow flow = run(statement, scope, out);
      if (flow != Flow::on) return flow;
    }
    return Flow::on;
  }

  Flow run(const Statement& s, Scope& scope, Characters& out) {
    switch (s.kind) {
      case StatementKind::data:
        budget_.take_text(s.text.size());
        budget_.check_size(out.size() + s.text.size());
        out += s.text;
        return Flow::on;
      case StatementKind::output:
        for (const Expression& e : s.expressions) print_value(out, evaluate(e, scope), budget_);
        return Flow::on;
      case StatementKind::if_chain:
        return run_if(s, scope, out);
      case StatementKind::for_loop:
        return run_for(s, items_of(evaluate(s.expressions[0], scope), budget_), scope, 0, out);
      case StatementKind::set:
        assign(s.targets[0], evaluate(s.expressions[0], scope), scope);
        return Flow::on;
      case StatementKind::set_block:
        return run_set_block(s, scope);
      case StatementKind::macro:
        scope.set(s.name, macro_value(s, scope));
        return Flow::on;
      case StatementKind::call_block:
        print_value(out, evaluate_call(s.expressions[0], scope, macro_value(s.bodies[0][0], scope)), budget_);
        return Flow::on;
      case StatementKind::filter_block:
        print_value(out, filtered(s.expressions[0], run_aside(s.bodies[0], scope).second, scope), budget_);
        return Flow::on;
      case StatementKind::with:
        return run_with(s, scope, out);
      case StatementKind::scope: {
        const Block block = open(&scope);
        return nested(s.bodies[0], *block.scope, out);
      }
      case StatementKind::do_break:
        return Flow::stop;
      default:
        return Flow::next;
    }
  }
  /// Runs a body one level deeper.
  Flow nested(const Body& body, Scope& scope, Characters& out) {
    budget_.enter();
    const Flow flow = run(body, scope, out);
    budget_.leave();
    return flow;
  }

  Flow run_if(const Statement& s, Scope& scope, Characters& out) {
    for (std::size_t i = 0; i < s.expressions.size(); ++i) {
      if (truth(evaluate(s.expressions[i], scope))) return nested(s.bodies[i], scope, out);
    }
    return s.bodies.size() > s.expressions.size() ? nested(s.bodies.back(), scope, out) : Flow::on;
  }

  Flow run_for(const Statement& s, std::vector<Value> items, Scope& scope, std::size_t depth, Characters& out) {
    if (s.filtered) items = kept_items(s, std::move(items), scope);
    if (items.empty()) {
      if (s.bodies.size() < 2) return Flow::on;
      const Block block = open(&scope);
      return nested(s.bodies[1], *block.scope, out);
    }
    const auto loop = std::make_shared<LoopData>();
    loop->items = std::move(items);
    loop->depth = depth;
    loop->statement = &s;
    loop->scope = &scope;
    for (const Value& item : loop->items) loop->nesting = std::max(loop->nesting, depth_of(item) + 1);
    checked_depth(loop->nesting);
    if (s.recursive) capture(scope);
    for (; loop->index < loop->items.size(); ++loop->index) {
      const Block block = open(&scope);
      block.scope->set("loop", Value(Value::Held(loop)));
      assign(s.targets[0], loop->items[loop->index], *block.scope);
      if (nested(s.bodies[0], *block.scope, out) == Flow::stop) break;
    }
    loop->index = std::min(loop->index, loop->items.size() - 1);
    return Flow::on;
  }
  std::vector<Value> kept_items(const Statement& s, std::vector<Value> items, Scope& scope) {
    std::vector<Value> kept;
    for (Value& item : items) {
      const Block block = open(&scope);
      assign(s.targets[0], item, *block.scope);
      if (truth(evaluate(s.expressions[1], *block.scope))) kept.push_back(std::move(item));
    }
    return kept;
  }
  Value call_loop(const LoopData& loop, const Value& items) override {
    if (!loop.statement->recursive) throw BadData("a loop that is called needs the word recursive");
    Characters out;
    budget_.enter();
    run_for(*loop.statement, items_of(items, budget_), *loop.scope, loop.depth + 1, out);
    budget_.leave();
    return Value(std::move(out));
  }

  void assign(const Target& target, Value value, Scope& scope) {
    budget_.take();
    if (!target.parts.empty()) {
      const std::vector<Value> items = items_of(value, budget_);
      if (items.size() != target.parts.size()) {
        throw BadData(std::to_string(items.size()) + " values cannot be assigned to " +
                      std::to_string(target.parts.size()) + " names");
      }
      for (std::size_t i = 0; i < items.size(); ++i) assign(target.parts[i], items[i], scope);
    } else if (target.attribute.empty()) {
      scope.set(target.name, std::move(value));
    } else {
      assign_attribute(target, std::move(value), scope);
    }
  }
  void assign_attribute(const Target& target, Value value, Scope& scope) {
    const Value object = lookup(target.name, scope);
    const auto* space = object.get_if<NamespaceData*>();
    if (space == nullptr) throw BadData("'" + target.name + "' is no namespace, so that nothing can be set in it");
    const std::string name = checked_attribute(target.attribute);
    budget_.take((*space)->items.size() / 8);
    for (auto& [known, old] : (*space)->items) {
      if (known != name) continue;
      old = std::move(value);
      return;
    }
    (*space)->items.emplace_back(name, std::move(value));
  }

  /// Runs a body in its own scope and gives its output.
  std::pair<Flow, Characters> run_aside(const Body& body, Scope& scope) {
    const Block block = open(&scope);
    Characters out;
    const Flow flow = nested(body, *block.scope, out);
    return {flow, std::move(out)};
  }
  Flow run_set_block(const Statement& s, Scope& scope) {
    auto [flow, text] = run_aside(s.bodies[0], scope);
    if (flow != Flow::on) return flow;
    assign(s.targets[0], s.expressions.empty() ? Value(std::move(text)) : filtered(s.expressions[0], text, scope),
           scope);
    return Flow::on;
  }
  /// Gives a text after filters. The innermost filter has no input of its own and gets the text.
  Value filtered(const Expression& e, const Characters& text, Scope& scope) {
    if (e.kind != ExpressionKind::filter) return Value(text);
    const Value input = filtered(e.items[0], text, scope);
    return apply_filter(e.name, input, evaluate_arguments(e, scope), budget_);
  }
  Flow run_with(const Statement& s, Scope& scope, Characters& out) {
    const Block block = open(&scope);
    std::vector<Value> values = evaluate_all(s.expressions, scope);
    for (std::size_t i = 0; i < values.size(); ++i) assign(s.targets[i], std::move(values[i]), *block.scope);
    return nested(s.bodies[0], *block.scope, out);
  }

  Value macro_value(const Statement& s, Scope& scope) {
    capture(scope);
    FunctionData macro{.kind = FunctionData::Kind::macro, .name = s.name, .macro = &s, .scope = &scope};
    return Value(std::make_shared<const FunctionData>(std::move(macro)));
  }

  Value call_macro(const FunctionData& function, Arguments arguments) override {
    const Statement& s = *function.macro;
    const std::size_t line = line_;
    const Block block = open(function.scope);
    Scope& scope = *block.scope;
    const std::size_t count = s.parameters.size();
    const std::size_t without_default = count - s.expressions.size();
    for (std::size_t i = 0; i < count; ++i) {
      const std::string& name = s.parameters[i];
      const auto given = std::find_if(arguments.named.begin(), arguments.named.end(),
                                      [&](const auto& pair) { return pair.first == name; });
      if (i < arguments.positional.size()) {
        scope.set(name, arguments.positional[i]);
      } else if (given != arguments.named.end()) {
        scope.set(name, std::move(given->second));
        arguments.named.erase(given);
      } else if (i >= without_default) {
        scope.set(name, evaluate(s.expressions[i - without_default], scope));
      } else {
        scope.set(name, undefined_value("the parameter '" + name + "' was not given"));
      }
    }
    bind_rest(s, std::move(arguments), scope);
    Characters out;
    nested(s.bodies[0], scope, out);
    line_ = line;
    budget_.take_text(out.size());
    return Value(std::move(out));
  }
  /// Binds the arguments that a macro has no parameters for: caller, kwargs and varargs.
  void bind_rest(const Statement& s, Arguments arguments, Scope& scope) {
    const auto caller = std::find_if(arguments.named.begin(), arguments.named.end(),
                                     [](const auto& pair) { return pair.first == "caller"; });
    if (s.takes_caller && s.name != "caller") {
      scope.set("caller", caller != arguments.named.end() ? caller->second : undefined_value("no caller is defined"));
      if (caller != arguments.named.end()) arguments.named.erase(caller);
    }
    if (s.takes_kwargs) {
      std::vector<std::pair<Value, Value>> items;
      for (auto& [name, value] : arguments.named) set_key(items, text_value(name), std::move(value), budget_);
      scope.set("kwargs", dict_value(std::move(items)));
    } else if (!arguments.named.empty()) {
      throw BadData("the macro '" + s.name + "' takes no argument '" + arguments.named.front().first + "'");
    }
    const std::size_t taken = std::min(s.parameters.size(), arguments.positional.size());
    if (s.takes_varargs) {
      std::vector<Value> rest(arguments.positional.begin() + static_cast<std::ptrdiff_t>(taken),
                              arguments.positional.end());
      scope.set("varargs", sequence_value(std::move(rest), SequenceKind::tuple));
    } else if (arguments.positional.size() > taken) {
      throw BadData("the macro '" + s.name + "' takes at most " + std::to_string(s.parameters.size()) + " arguments");
    }
  }

  std::vector<std::unique_ptr<Scope>> kept_;
};

}  // namespace detail

}  // namespace maestro::jinja
