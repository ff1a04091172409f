#pragma once

/// @file
/// What responses to a prompt file are measured by, and the intervals of that.

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/answers.hpp"
#include "maestro/text/bleu.hpp"
#include "maestro/text/chrf.hpp"
#include "maestro/trainer/bootstrap.hpp"

namespace maestro::examples {

inline constexpr std::array<std::string_view, 7> measure_names{"exact",  "number", "letter", "chrf",
                                                               "chrf++", "bleu",   "judge"};

/// The measures that prompts ask for by the field `check` of their lines: number and letter for these, chrf and bleu
/// for a translation, chrf for everything else.
inline std::vector<std::string> measures_asked_for(std::span<const Prompt> prompts) {
  std::vector<std::string> names;
  const auto add = [&](const char* name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  };
  for (const Prompt& prompt : prompts) {
    const Json metadata = prompt.metadata.empty() ? Json::object() : parse_json(prompt.metadata, "prompts");
    const std::string check = metadata.value("check", std::string());
    if (check == "number" || check == "letter") {
      add(check == "number" ? "number" : "letter");
    } else {
      add("chrf");
      if (check == "translation") add("bleu");
    }
  }
  return names;
}

/// One measure of all prompts that it applies to.
class Measure {
 public:
  explicit Measure(std::string name) : name_(std::move(name)) { index_of_name("--metrics", name_, measure_names); }

  const std::string& name() const { return name_; }
  /// Whether a response is either right or wrong.
  bool is_right_or_wrong() const { return name_ == "exact" || name_ == "number" || name_ == "letter"; }
  /// Prompts so far.
  std::size_t size() const { return prompts_.size(); }

  /// Adds the responses to one prompt; a prompt without a reference, or whose reference has no number or letter where
  /// that is asked for, is left out.
  void add(const Prompt& prompt, std::span<const std::string> responses) {
    if (prompt.reference.empty() || (name_ == "number" && !number_answer(prompt.reference)) ||
        (name_ == "letter" && !letter_answer(prompt.reference))) {
      return;
    }
    PromptFigures figures;
    figures.responses = responses.size();
    for (const std::string& response : responses) {
      const std::string_view ours = answer_part(response);
      const std::string_view theirs = answer_part(prompt.reference);
      if (name_ == "bleu") {
        figures.words += bleu_counts(ours, theirs);
      } else if (name_.starts_with("chrf")) {
        figures.letters += chrf_counts(ours, theirs);
      } else {
        figures.right += is_right(response, prompt.reference) ? 1u : 0u;
      }
    }
    prompts_.push_back(figures);
  }

  /// Adds the scores that a judge gave the responses to one prompt.
  void add_scores(std::span<const float> scores) {
    PromptFigures figures;
    figures.responses = scores.size();
    for (const float score : scores) figures.score += static_cast<double>(score) / static_cast<double>(scores.size());
    prompts_.push_back(figures);
  }

  /// Of the prompts at these places: of the corpus of their responses for BLEU and chrF, in [0, 100]; of a judge the
  /// mean score, else the share of right responses, in percent, or, if k is not 0, pass@k.
  double of(std::span<const std::size_t> places, std::size_t k = 0) const {
    if (name_ == "bleu") {
      BleuCounts sum;
      for (const std::size_t i : places) sum += prompts_[i].words;
      return bleu(sum);
    }
    if (name_.starts_with("chrf")) {
      ChrfCounts sum;
      for (const std::size_t i : places) sum += prompts_[i].letters;
      return chrf(sum, name_ == "chrf" ? ChrfKind::chrf2 : ChrfKind::chrf_plus_plus);
    }
    double sum = 0.0;
    for (const std::size_t i : places) {
      if (name_ == "judge") {
        sum += prompts_[i].score;
        continue;
      }
      sum += pass_at_k(prompts_[i].responses, prompts_[i].right, k == 0 ? 1 : k);
    }
    return 100.0 * sum / static_cast<double>(places.size());
  }

 private:
  struct PromptFigures {
    std::size_t responses = 0;
    std::size_t right = 0;
    double score = 0.0;
    BleuCounts words{};
    ChrfCounts letters{};
  };

  bool is_right(std::string_view response, std::string_view reference) const {
    if (name_ == "number") return number_answer(response) == number_answer(reference);
    if (name_ == "letter") return letter_answer(response) == letter_answer(reference);
    return answer_part(response) == answer_part(reference);
  }

  std::string name_;
  std::vector<PromptFigures> prompts_;
};

/// One figure of one model: a column of the table.
struct Figure {
  std::string name;
  Interval interval;
  std::size_t prompts = 0;
};

/// The figures of a model's measures; against those of another one if it is given: then the differences, the same
/// prompts drawn for both.
/// @param ks  of pass@k, for measures of right and wrong; those above the number of responses are left out
inline std::vector<Figure> figures_of(std::span<const Measure> measures, std::span<const std::size_t> ks,
                                      std::size_t responses, const BootstrapOptions& options,
                                      std::span<const Measure> base = {}) {
  std::vector<Figure> figures;
  for (std::size_t m = 0; m < measures.size(); ++m) {
    const Measure& measure = measures[m];
    std::vector<std::size_t> wanted{0};
    for (const std::size_t k : ks) {
      if (measure.is_right_or_wrong() && k > 1 && k <= responses) wanted.push_back(k);
    }
    for (const std::size_t k : wanted) {
      const std::string name = measure.name() + (k == 0 ? "" : " pass@" + std::to_string(k));
      if (measure.size() == 0) throw BadArgument("--metrics " + measure.name() + " applies to no prompt");
      const auto statistic = [&](std::span<const std::size_t> places) {
        return measure.of(places, k) - (base.empty() ? 0.0 : base[m].of(places, k));
      };
      figures.push_back({name, bootstrap(measure.size(), statistic, options), measure.size()});
    }
  }
  return figures;
}

}  // namespace maestro::examples
