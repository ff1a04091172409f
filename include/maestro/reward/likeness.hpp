#pragma once

/// @file
/// Rewards for the similarity of the response to the reference.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/text_parts.hpp"
#include "maestro/text/answers.hpp"
#include "maestro/text/bleu.hpp"
#include "maestro/text/chrf.hpp"

namespace maestro {

/// LikenessMetric says how the similarity is measured.
enum class LikenessMetric : std::uint8_t { chrf, chrf_plus_plus, bleu };
inline constexpr std::array<std::string_view, 3> likeness_metric_names{"chrf", "chrf++", "bleu"};

/// LikenessOptions holds the options of the Likeness reward.
struct LikenessOptions {
  LikenessMetric metric = LikenessMetric::chrf;
};

/// Gives the metric of one segment, in [0, 1]: the answer_part of the response against that of the reference.
inline double likeness(LikenessMetric metric, std::string_view response, std::string_view reference) {
  response = answer_part(response);
  reference = answer_part(reference);
  switch (metric) {
    case LikenessMetric::chrf:
      return 0.01 * sentence_chrf(response, reference);
    case LikenessMetric::chrf_plus_plus:
      return 0.01 * sentence_chrf(response, reference, ChrfKind::chrf_plus_plus);
    case LikenessMetric::bleu:
      break;
  }
  return 0.01 * sentence_bleu(response, reference);
}

/// Likeness rewards the similarity of each response to its prompt's reference. If the prompt has no reference, the
/// reward does not apply.
class Likeness {
 public:
  std::string_view name;

  explicit Likeness(const LikenessOptions& options = {})
      : name(likeness_metric_names[static_cast<std::size_t>(options.metric)]), options_(options) {}

  std::optional<float> operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    if (completion.prompt.reference.empty()) return std::nullopt;
    return static_cast<float>(likeness(options_.metric, text, completion.prompt.reference));
  }

 private:
  LikenessOptions options_;
};

}  // namespace maestro
