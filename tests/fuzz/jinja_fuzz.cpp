#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fuzz_target.hpp"
#include "maestro/text/jinja/template.hpp"
#include "maestro/text/utf8.hpp"

namespace {

using namespace maestro;
using namespace maestro_fuzz;

constexpr std::string_view mark = "\xee\x80\x81";  // U+E001, in every text of the conversation

jinja::Value message(std::string_view role, std::string_view content) {
  const std::string marked = std::string(mark) + replace_invalid_utf8(content) + std::string(mark);
  return jinja::dict_value({{jinja::text_value("role"), jinja::text_value(role)},
                            {jinja::text_value("content"), jinja::text_value(marked, jinja::Origin::in_data)}});
}

/// Lines are turns, of the user and the assistant by turns.
jinja::Value conversation(std::string_view lines) {
  std::vector<jinja::Value> messages;
  while (!lines.empty() && messages.size() < 50) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    messages.push_back(message(messages.size() % 2 == 0 ? "user" : "assistant", lines.substr(0, end)));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return jinja::sequence_value(std::move(messages));
}

void check_segments(const std::vector<jinja::Segment>& segments, bool names_mark) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    must(!segments[i].text.empty() && is_utf8(segments[i].text), "a segment is a text");
    must(i == 0 || segments[i].origin != segments[i - 1].origin, "segments alternate");
    const bool own = segments[i].origin == jinja::Origin::in_template;
    must(names_mark || !own || segments[i].text.find(mark) == std::string::npos,
         "text of the conversation never counts as the template's");
  }
}

}  // namespace

/// A template, a line of ===, and a conversation of one turn a line.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = text_of(data, size);
  constexpr std::string_view border = "\n===\n";
  const std::size_t end = text.find(border);
  const std::string_view source = text.substr(0, end);
  const std::string_view lines = end == std::string_view::npos ? "Hello" : text.substr(end + border.size());
  const bool names_mark = source.find(mark) != std::string_view::npos || source.find("001") != std::string_view::npos;
  accept_or_refuse([&] {
    const jinja::Template chat(source);
    const std::vector<jinja::Variable> variables{{"messages", conversation(lines)},
                                                 {"bos_token", jinja::text_value("<s>")},
                                                 {"add_generation_prompt", jinja::Value(true)}};
    const jinja::Limits limits{.steps = 200'000, .characters = 1u << 18};
    const auto segments = chat.render(variables, {}, limits);
    check_segments(segments, names_mark);
    must(chat.render(variables, {}, limits) == segments, "a template writes the same again");
  });
  return 0;
}
