#include <boost/test/unit_test.hpp>
#include <cctype>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "maestro/core/gguf_blocks.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/gguf_config.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/model/lora.hpp"
#include "maestro/text/jinja/names.hpp"

// README's table of what works and what is refused, held against the lists in the code.
BOOST_AUTO_TEST_SUITE(readme_table)

namespace {

using namespace maestro;

/// A cell of a row of the table: 0 "works", 1 "refused by name".
std::string cell_of(const std::string& row, std::size_t index) {
  const std::string text = read_file(std::string(MAESTRO_TEST_FIXTURES) + "/../../README.md");
  const std::size_t begin = text.find("\n| " + row + " | ");
  BOOST_REQUIRE_MESSAGE(begin != std::string::npos, "README has no row " << row);
  std::size_t cell = begin + row.size() + 6;
  for (; index > 0; --index) cell = text.find(" | ", cell) + 3;
  return text.substr(cell, text.find(" |", cell) - cell);
}
std::string works(const std::string& row) { return cell_of(row, 0); }

/// What a cell writes as code.
std::set<std::string> codes(const std::string& cell) {
  std::set<std::string> names;
  for (std::size_t at = cell.find('`'); at != std::string::npos; at = cell.find('`', at + 1)) {
    const std::size_t end = cell.find('`', at + 1);
    names.insert(cell.substr(at + 1, end - at - 1));
    at = end;
  }
  return names;
}

/// Whether a name stands in a cell, not as a part of another.
bool has_word(const std::string& cell, std::string_view word) {
  const auto is_letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (std::size_t at = cell.find(word); at != std::string::npos; at = cell.find(word, at + 1)) {
    const bool starts = at == 0 || !is_letter(cell[at - 1]);
    const std::size_t end = at + word.size();
    if (starts && (end == cell.size() || !is_letter(cell[end]))) return true;
  }
  return false;
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_names_the_architectures_of_the_code_and_no_other) {
  std::set<std::string> expected{"...ForSequenceClassification"};
  for (const detail::FamilyNames& family : detail::family_names) expected.emplace(family.architecture);
  BOOST_TEST(codes(works("architectures")) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(it_names_the_types_of_gguf_of_the_code_and_no_other) {
  const std::set<std::string> named = codes(works("GGUF"));
  std::set<std::string> expected{"--model FILE.gguf", "--lora", "--save-gguf-adapter yes"};
  for (const detail::GgufBlock& block : detail::gguf_blocks) expected.emplace(block.name);
  for (const std::string_view name : detail::gguf_architectures) expected.emplace(name);
  BOOST_TEST(named == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(it_names_the_projections_that_may_have_adapters) {
  const std::string cell = works("adapters");
  for (const std::string_view name : lora_target_names) {
    const std::string_view letter = name.substr(0, name.find('_'));
    BOOST_TEST(has_word(cell, letter), "no " << letter << " in: " << cell);
  }
}

BOOST_AUTO_TEST_CASE(it_names_the_types_of_rope_of_the_code_and_no_other) {
  std::set<std::string> expected{"rope_theta"};
  for (const detail::RopeTypeName& type : detail::rope_type_names) expected.emplace(type.name);
  BOOST_TEST(codes(works("RoPE")) == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(it_names_all_that_is_refused_in_lists) {
  std::set<std::string> config;
  for (const detail::RefusedField& field : detail::refused_config_fields) config.emplace(field.name);
  BOOST_TEST(codes(cell_of("config.json", 1)) == config, boost::test_tools::per_element());

  std::set<std::string> adapters;
  for (const std::string_view name : detail::refused_lora_fields) adapters.emplace(name);
  for (const std::string_view name : detail::changing_initializations) adapters.emplace(name);
  BOOST_TEST(codes(cell_of("adapters", 1)) == adapters, boost::test_tools::per_element());

  std::set<std::string> templates;
  const auto add = [&](const auto& names) {
    for (const std::string_view name : names) templates.emplace(name);
  };
  add(jinja::missing_tags);
  add(jinja::missing_filters);
  add(jinja::missing_tests);
  add(jinja::missing_globals);
  BOOST_TEST(codes(cell_of("chat templates", 1)) == templates, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
