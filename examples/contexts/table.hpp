#pragma once

/// @file
/// A table of models on the held-out prompts of the families of contexts, and their responses side by side.

#include <array>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/types.hpp"
#include "evaluation/held_out_judge.hpp"
#include "maestro/core/error.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/io/file.hpp"
#include "maestro/tokenizers.hpp"
#include "maestro/trainer/evaluation.hpp"
#include "tasks/contexts.hpp"

namespace maestro::examples {

/// How a model's responses are drawn for its held-out scores.
struct ContextDecoding {
  std::string_view key;
  std::string_view words;
  double temperature;  ///< 0: greedy, one response for each prompt
};
inline constexpr std::array<ContextDecoding, 3> context_decodings{
    {{"greedy", "greedy", 0.0}, {"t0.5", "temperature 0.5", 0.5}, {"t1", "temperature 1", 1.0}}};

inline EvaluationOptions evaluation_options(const ContextDecoding& decoding, std::size_t generations) {
  EvaluationOptions options;
  const bool greedy = decoding.temperature == 0.0;
  options.sampling = {.num_generations = greedy ? 1 : generations, .max_completion_length = 48};
  if (greedy) options.sampling.decoding = Decoding::greedy;
  if (!greedy) options.sampling.temperature = decoding.temperature;
  return options;
}

/// Measures models and prints the table; writes the greedy responses to two prompts of each family to a file.
class ContextTable {
 public:
  ContextTable(std::vector<Prompt> prompts, std::size_t generations)
      : prompts_(std::move(prompts)), generations_(generations) {
    for (const std::string_view family : contexts::names) {
      std::size_t shown = 0;
      for (std::size_t i = 0; i < prompts_.size() && shown < 2; ++i) {
        if (prompts_[i].task != family) continue;
        samples_[i] << "\n## " << family << "\n\n    " << prompts_[i].text << "\n";
        ++shown;
      }
    }
  }

  /// @param run  NAME=FOLDER. @throws BadArgument for another form; as load_policy.
  void add(const std::string& run) {
    const std::size_t at = run.find('=');
    if (at == 0 || at == std::string::npos) throw BadArgument("--run takes NAME=FOLDER, not '" + run + "'");
    auto policy = load_policy<float, Backend>(run.substr(at + 1));
    std::ostringstream line;
    line << std::fixed << std::setprecision(1) << "| " << run.substr(0, at) << " |";
    std::map<std::string, Interval> by_family;
    for (const ContextDecoding& decoding : context_decodings) {
      std::size_t row = 0;
      const Evaluation measured = evaluate(
          policy, std::span<const Prompt>(prompts_), held_out_score, evaluation_options(decoding, generations_),
          [&](const Rollouts& rollouts, std::span<const double> scores) {
            for (std::size_t g = 0; g < rollouts.groups.count() && decoding.temperature == 0.0; ++g, ++row) {
              show(row, run.substr(0, at), rollouts.texts[g], scores[g]);
            }
          });
      line << " " << 100.0 * measured.overall.mean << " (" << 100.0 * measured.overall.low << " to "
           << 100.0 * measured.overall.high << ") |";
      if (decoding.temperature == 0.0) by_family = measured.per_task;
    }
    for (const std::string_view family : contexts::names) {
      line << " " << 100.0 * by_family[std::string(family)].mean << " |";
    }
    lines_ += line.str() + "\n";
  }

  std::string text() const {
    std::string head = "| model |", rule = "|---|";
    for (const ContextDecoding& decoding : context_decodings) {
      head += " " + std::string(decoding.words) + " |";
      rule += "---|";
    }
    for (const std::string_view family : contexts::names) {
      head += " " + std::string(family) + " |";
      rule += "---|";
    }
    return head + "\n" + rule + "\n" + lines_;
  }
  std::string samples() const {
    std::string all = "# Greedy responses to held-out prompts, with the held-out judge's score and its rules\n";
    for (const auto& [row, sample] : samples_) all += sample.str();
    return all;
  }

 private:
  void show(std::size_t row, const std::string& name, std::string_view response, double score) {
    const auto sample = samples_.find(row);
    if (sample == samples_.end()) return;
    std::string line(replace_invalid_utf8(response));
    for (char& c : line) c = c == '\n' ? ' ' : c;
    sample->second << "\n- **" << name << "** (" << std::setprecision(2) << score << "): `" << line << "`  \n  "
                   << held_out_remark(prompts_[row], response).rules << "\n";
  }

  std::vector<Prompt> prompts_;
  std::size_t generations_;
  std::string lines_;
  std::map<std::size_t, std::ostringstream> samples_;  // by place of the prompt
};

}  // namespace maestro::examples
