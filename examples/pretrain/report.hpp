#pragma once

/// @file
/// How good a model is on held-out prompts, and how much room and contrast it leaves to reinforcement.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/types.hpp"
#include "evaluation/held_out_judge.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/text/utf8.hpp"
#include "maestro/trainer/bootstrap.hpp"

namespace maestro::examples {

inline constexpr std::size_t response_limit = 192;

/// Figures of one family: means over its prompts.
struct FamilyReport {
  std::vector<double> scores;   ///< (prompts) mean judge score
  double format = 0.0;          ///< mean format reward
  double length = 0.0;          ///< mean tokens
  double format_differs = 0.0;  ///< share of groups in which not all have the same format reward
  double length_differs = 0.0;  ///< the same of the length
  double score_differs = 0.0;   ///< the same of the judge's score
};

/// Samples `group` responses to each prompt at temperature 1 and judges them.
inline std::map<std::string, FamilyReport> report_on(Policy& policy, std::span<const Prompt> prompts, std::size_t group,
                                                     std::uint64_t seed) {
  const Format format;
  std::map<std::string, FamilyReport> families;
  constexpr std::size_t at_once = 24;
  for (std::size_t first = 0; first < prompts.size(); first += at_once) {
    const auto part = prompts.subspan(first, std::min(at_once, prompts.size() - first));
    const Sampling sampling{.num_generations = group, .max_completion_length = response_limit};
    const Rollouts rollouts = policy.generate(part, sampling, {.seed = seed, .step = 0xFFFFFFFFu});
    for (std::size_t n = 0; n < rollouts.groups.count(); ++n) {
      FamilyReport& family = families[rollouts.prompts[n].task];
      const std::size_t begin = rollouts.groups.begin(n);
      double score = 0.0;
      bool differs[3] = {false, false, false};
      double before[3] = {0.0, 0.0, 0.0};
      for (std::size_t i = begin; i < rollouts.groups.end(n); ++i) {
        const Completion completion = rollouts.completion(i);
        const double now[3] = {static_cast<double>(format(completion)), static_cast<double>(completion.tokens.size()),
                               held_out_score(completion)};
        for (std::size_t k = 0; k < 3; ++k) {
          differs[k] = differs[k] || (i > begin && now[k] != before[k]);
          before[k] = now[k];
        }
        family.format += now[0] / static_cast<double>(group);
        family.length += now[1] / static_cast<double>(group);
        score += now[2] / static_cast<double>(group);
      }
      family.scores.push_back(score);
      family.format_differs += differs[0] ? 1.0 : 0.0;
      family.length_differs += differs[1] ? 1.0 : 0.0;
      family.score_differs += differs[2] ? 1.0 : 0.0;
    }
  }
  for (auto& [name, family] : families) {
    const auto count = static_cast<double>(family.scores.size());
    for (double* figure :
         {&family.format, &family.length, &family.format_differs, &family.length_differs, &family.score_differs}) {
      *figure /= count;
    }
  }
  return families;
}

/// One line per family.
inline void print_report(std::ostream& out, const std::map<std::string, FamilyReport>& families) {
  for (const auto& [name, family] : families) {
    const Interval score = bootstrap_mean(family.scores, {});
    out << "  " << name << ": judge " << score.mean << " [" << score.low << ", " << score.high << "], format "
        << family.format << ", tokens " << family.length << "; groups that differ in format " << family.format_differs
        << ", length " << family.length_differs << ", judge " << family.score_differs << '\n';
  }
}

/// A model's text for a terminal: invalid UTF-8 replaced, control bytes as '?'.
inline std::string printable(std::string_view text) {
  std::string safe = replace_invalid_utf8(text);
  for (char& c : safe) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return safe;
}

/// A few responses to read, with the judge's rules.
inline void print_samples(std::ostream& out, Policy& policy, std::span<const Prompt> prompts, std::uint64_t seed) {
  const Sampling sampling{.num_generations = 3, .max_completion_length = response_limit};
  const Rollouts rollouts = policy.generate(prompts, sampling, {.seed = seed, .step = 0xFFFFFFFEu});
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    const Completion completion = rollouts.completion(i);
    if (completion.member == 0) out << completion.prompt.text;
    const Remark remark = held_out_remark(completion.prompt, completion.text);
    out << "    " << printable(completion.text) << "\n      " << remark.score << " (" << remark.rules << ")\n";
  }
}

}  // namespace maestro::examples
