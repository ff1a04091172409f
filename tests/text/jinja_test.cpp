#include <boost/test/unit_test.hpp>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/hub/chat_template_file.hpp"
#include "maestro/text/jinja/template.hpp"

BOOST_AUTO_TEST_SUITE(jinja_templates)

namespace {

using namespace maestro;
using jinja::Origin;

OrderedJson fixture() {
  return OrderedJson::parse(read_file(std::string(MAESTRO_TEST_FIXTURES) + "/text/jinja.json", 1 << 20));
}

std::vector<jinja::Variable> variables_of(const OrderedJson& json) {
  std::vector<jinja::Variable> variables;
  for (const auto& [name, value] : json.items()) {
    variables.emplace_back(name, detail::template_value(value, "fixture"));
  }
  return variables;
}

/// What a template writes; nothing if it is refused.
std::optional<std::string> written(const std::string& source, const std::vector<jinja::Variable>& variables) {
  std::string text;
  try {
    for (const jinja::Segment& segment : jinja::Template(source).render(variables)) text += segment.text;
  } catch (const Error&) {
    return std::nullopt;
  }
  return text;
}

/// What a template writes of the text `x`, which comes from the conversation, as "template<data>template".
std::string marked(const std::string& source, const std::string& x = "<|x|>") {
  const std::vector<jinja::Variable> variables{{"x", jinja::text_value(x, Origin::in_data)}};
  std::string text;
  for (const jinja::Segment& segment : jinja::Template(source).render(variables)) {
    text += segment.origin == Origin::in_data ? "[" + segment.text + "]" : segment.text;
  }
  return text;
}

/// What an action is refused with.
template <class E, class Action>
std::string refused(Action&& action) {
  try {
    action();
  } catch (const E& error) {
    return error.what();
  }
  return "not refused";
}
std::string at_load(const std::string& source) {
  return refused<Unsupported>([&] { jinja::Template{source}; });
}

BOOST_AUTO_TEST_CASE(every_construct_writes_what_jinja2_writes) {
  const OrderedJson json = fixture();
  const std::vector<jinja::Variable> variables = variables_of(json["variables"]);
  std::map<std::string, int> groups;
  for (const OrderedJson& entry : json["cases"]) {
    const std::string source = entry["template"].get<std::string>();
    const std::optional<std::string> text = written(source, variables);
    BOOST_TEST_CONTEXT(source) {
      BOOST_TEST(text.has_value() == !entry["text"].is_null());
      if (text && !entry["text"].is_null()) BOOST_TEST(*text == entry["text"].get<std::string>());
    }
    ++groups[entry["group"].get<std::string>()];
  }
  BOOST_TEST(groups.size() == 14u);
  BOOST_TEST(json["cases"].size() > 240u);
}

BOOST_AUTO_TEST_CASE(every_text_keeps_where_it_comes_from) {
  BOOST_TEST(marked("<|x|>{{ x }}<|x|>") == "<|x|>[<|x|>]<|x|>");
  BOOST_TEST(marked("{{ x ~ '|' ~ x + '!' }}") == "[<|x|>]|[<|x|>]!");
  BOOST_TEST(marked("{{ x[2:] }}{{ x[0] }}{{ x | reverse }}") == "[x|><>|x|<]");
  BOOST_TEST(marked("{{ x | upper }}{{ x.title() }}{{ (x ~ 'a') | title }}") == "[<|X|><|X|><|x|>]a");
  BOOST_TEST(marked("{{ x.replace('|', 'I') }}{{ 'a-b'.replace('-', x) }}") == "[<]I[x]I[>]a[<|x|>]b");
  BOOST_TEST(marked("{{ ', '.join([x, 'y']) }}{{ x | join(':') }}") == "[<|x|>], y[<]:[|]:[x]:[|]:[>]");
  BOOST_TEST(marked("{{ x.split('|') | join('|') }}") == "[<]|[x]|[>]");
  BOOST_TEST(marked("{{ [x] }}{{ {x: 1} }}") == "['[<|x|>]']{'[<|x|>]': 1}");
  BOOST_TEST(marked("{{ [x] | tojson }}", "\"\n\xc3\xa9") == "[\"[\\\"\\n\xc3\xa9]\"]");
  BOOST_TEST(marked("{{ x | tojson(ensure_ascii=true) }}", "\xf0\x9f\x99\x82") == "\"[\\ud83d\\ude42]\"");
  BOOST_TEST(marked("{% set y %}<{{ x }}>{% endset %}{{ y | trim }}") == "<[<|x|>]>");
  BOOST_TEST(marked("{% macro m(a) %}({{ a }}{{ caller() }}){% endmacro %}{% call m(x) %}{{ x }}{% endcall %}") ==
             "([<|x|><|x|>])");
  BOOST_TEST(marked("{% for c in x %}{{ c }}{% endfor %}{{ '%s|' % x }}{{ '{}'.format(x) }}") ==
             "[<|x|><|x|>]|[<|x|>]");
  BOOST_TEST(marked("{{ x | indent(2, true) }}", "a\nb") == "  [a]\n  [b]");
  // What is compared or counted tells nothing of its origin.
  BOOST_TEST(marked("{{ 'same' if x == '<|x|>' }} {{ x | length }}") == "same 5");
}

BOOST_AUTO_TEST_CASE(what_is_not_implemented_is_refused_by_name_when_it_is_loaded) {
  for (const char* tag : {"block a", "extends 'a'", "include 'a'", "import 'a' as b", "do x", "autoescape true"}) {
    const std::string name(tag, std::string(tag).find(' '));
    BOOST_TEST(at_load("\n{% " + std::string(tag) + " %}") ==
               "chat template, line 2: the tag '" + name + "' is not implemented");
  }
  for (const auto filter : jinja::missing_filters) {
    BOOST_TEST(at_load("{% if x %}{{ x | " + std::string(filter) + " }}{% endif %}") ==
               "chat template, line 1: the filter '" + std::string(filter) + "' is not implemented");
  }
  for (const auto test : jinja::missing_tests) {
    BOOST_TEST(at_load("{{ x is " + std::string(test) + " }}").find("the test") != std::string::npos);
  }
  BOOST_TEST(at_load("{{ 0x1f }}").find("base 10") != std::string::npos);
  BOOST_TEST(at_load("{{ \xc3\xa9 }}").find("names beyond ASCII") != std::string::npos);
  BOOST_TEST(at_load("{{ 99999999999999999999 }}").find("64 bits") != std::string::npos);
  BOOST_TEST(at_load("{{ '\\N{DASH}' }}").find("the escape \\N") != std::string::npos);
  const auto run = [](const std::string& source) {
    return refused<Unsupported>([&] { jinja::Template(source).render({}); });
  };
  BOOST_TEST(run("{{ 'a'.swapcase() }}").find("the method 'swapcase' of texts") != std::string::npos);
  BOOST_TEST(run("{{ cycler(1) }}").find("the function 'cycler'") != std::string::npos);
  BOOST_TEST(run("{{ 9223372036854775807 + 1 }}").find("64 bits") != std::string::npos);
  BOOST_TEST(run("{{ ('a' | safe) ~ '<' }}").find("safe") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(errors_name_the_line) {
  const auto fails = [](const std::string& source) {
    return refused<BadData>([&] { jinja::Template(source).render({}); });
  };
  BOOST_TEST(fails("a\n\n{{ raise_exception('no ' ~ 1) }}") == "chat template, line 3: the template says: no 1");
  BOOST_TEST(fails("{% for x in [1] %}\n{{ x.y.z }}{% endfor %}") ==
             "chat template, line 2: a value of type int has no attribute 'y'");
  BOOST_TEST(fails("{{ nothing() }}") == "chat template, line 1: 'nothing' is undefined");
  BOOST_TEST(refused<BadArgument>([] { jinja::Template("a\n{{ b"); }) ==
             "chat template, line 2: '}}' is missing before the end of the template");
}

BOOST_AUTO_TEST_CASE(templates_are_bounded) {
  const auto fails = [](const std::string& source, const jinja::Limits& limits = {}) {
    return refused<BadData>([&] { jinja::Template(source).render({}, {}, limits); });
  };
  const std::string loop = "{% for x in range(1000) %}";
  BOOST_TEST(fails(loop + loop + loop + "{% endfor %}{% endfor %}{% endfor %}").find("steps") != std::string::npos);
  BOOST_TEST(fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").find("levels deep") != std::string::npos);
  BOOST_TEST(fails("{{ 'x' * 100000000 }}").find("too often") != std::string::npos);
  BOOST_TEST(
      fails("{% for x in range(99) %}{{ 'x' * 99 }}{% endfor %}", {.characters = 9000}).find("9000 characters") !=
      std::string::npos);
  const std::string nest = "{% set n = namespace(v=[]) %}{% for x in range(999) %}{% set n.v = [n.v] %}{% endfor %}";
  BOOST_TEST(fails(nest).find("200 levels deep") != std::string::npos);
  BOOST_CHECK_THROW(jinja::Template("{{ " + std::string(5000, '(')), BadArgument);
  BOOST_CHECK_THROW(jinja::Template("{{ 1" + std::string(5000, '-') + " 1 }}"), BadArgument);
  std::string sum = "{{ 1";
  for (int i = 0; i < 5000; ++i) sum += "+1";
  BOOST_CHECK_THROW(jinja::Template(sum + "}}"), BadArgument);
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "{% if x %}";
  BOOST_CHECK_THROW(jinja::Template{deep}, BadArgument);
  BOOST_CHECK_THROW(jinja::Template("\xff"), BadArgument);
  // A namespace in itself and a macro in its own scope are freed (AddressSanitizer).
  BOOST_TEST(
      *written("{% set n = namespace() %}{% set n.n = n %}{% macro m() %}{% endmacro %}{% set n.m = m %}x", {}) == "x");
}

BOOST_AUTO_TEST_CASE(case_is_that_of_python_or_refused) {
  BOOST_TEST(*written("{{ '\\u00df\\u0130x' | length }}", {}) == "3");
  BOOST_CHECK_THROW(jinja::Template("{{ '\\u00df' | upper }}").render({}), Unsupported);
  BOOST_CHECK_THROW(jinja::Template("{{ '\\u03a3' | lower }}").render({}), Unsupported);
  BOOST_TEST(*written("{{ '\\u0178\\u1e9e\\ua7ae\\U00010400' | lower }}", {}) ==
             "\xc3\xbf\xc3\x9f\xc9\xaa\xf0\x90\x90\xa8");
}

BOOST_AUTO_TEST_CASE(dates_are_those_of_the_calendar) {
  const auto day = [](int year, int month, int number) {
    const jinja::Template dated("{{ strftime_now('%a %j %d %b %Y|%-m|%e') }}");
    return dated.render({}, {.year = year, .month = month, .day = number}).at(0).text;
  };
  BOOST_TEST(day(2024, 12, 31) == "Tue 366 31 Dec 2024|12|31");
  BOOST_TEST(day(2000, 2, 29) == "Tue 060 29 Feb 2000|2|29");
  BOOST_TEST(day(1900, 3, 1) == "Thu 060 01 Mar 1900|3| 1");
  BOOST_CHECK_THROW(jinja::Template("{{ strftime_now('%Q') }}").render({}), Unsupported);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
