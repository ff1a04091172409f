#include "fuzz_target.hpp"
#include "maestro/remote/chat.hpp"
#include "maestro/remote/transport.hpp"
#include "maestro/text/answers.hpp"

/// The bytes as the body of a judge's answer, as its text, as a header, and as a URL.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  const auto text = text_of(data, size);
  const auto score = [](std::string_view content) {
    const maestro::ScoreReading reading = maestro::read_score(content, 0.0, 10.0);
    must(reading.score.has_value() == reading.why.empty(), "a score, or why there is none");
    if (reading.score) must(*reading.score >= 0.0 && *reading.score <= 10.0, "a score lies in its range");
  };
  accept_or_refuse([&] { score(maestro::parse_chat_answer(text, "server").content); });
  score(text);
  accept_or_refuse([&] {
    const maestro::UrlParts url = maestro::parse_url(text);
    must(!url.host.empty() && url.port > 0 && url.path.starts_with('/'), "a URL has its parts");
  });
  const auto seconds = maestro::retry_after_seconds(std::string(text), 0);
  must(!seconds || (*seconds >= 0.0 && *seconds < 1e300), "a pause is finite");
  if (const auto number = maestro::number_answer(text)) must(*number == *number, "an answer is a number");
  if (const auto letter = maestro::letter_answer(text)) must(*letter >= 'A' && *letter <= 'Z', "a choice is a letter");
  return 0;
}
