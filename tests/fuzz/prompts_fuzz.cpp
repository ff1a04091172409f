#include "maestro/io/prompts.hpp"

#include "fuzz_target.hpp"

/// The bytes as a prompt file, bad lines refused or skipped.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  const auto text = text_of(data, size);
  accept_or_refuse([&] { maestro::parse_prompts(text, "prompts.jsonl", maestro::OnBadLine::stop); });
  accept_or_refuse([&] {
    const maestro::PromptFile file = maestro::parse_prompts(text, "prompts.jsonl", maestro::OnBadLine::skip);
    must(!file.prompts.empty(), "an accepted file holds a prompt");
    must((file.skipped == 0) == file.first_skipped.empty(), "what was skipped is said");
  });
  return 0;
}
