#include <cmath>

#include "fuzz_target.hpp"
#include "maestro/remote/exchange.hpp"
#include "maestro/text/bleu.hpp"
#include "maestro/text/chrf.hpp"

/// The bytes as the reply of a command or of a server of rewards; and as a response that is compared with itself.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  const auto text = text_of(data, size);
  const auto check = [](const std::vector<maestro::RemoteScore>& scores, std::size_t count) {
    must(scores.size() == count, "one score for each item");
    for (const maestro::RemoteScore& score : scores) {
      must(!score.value || (std::isfinite(*score.value) && score.failure.empty()), "a score is finite, or none");
    }
  };
  accept_or_refuse([&] { check(maestro::parse_scores(text, "command", 2, 7), 2); });
  accept_or_refuse([&] { check(maestro::parse_scores(text, "server", 3), 3); });
  const auto whole = [](double score) { return score == 0.0 || std::abs(score - 100.0) < 1e-9; };
  must(whole(maestro::sentence_chrf(text, text)), "a text is like itself, by characters");
  must(whole(maestro::sentence_bleu(text, text)), "a text is like itself, by words");
  return 0;
}
