#include "report/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "report/chart.hpp"
#include "report/run_data.hpp"
#include "report/style.hpp"

namespace maestro::examples {

namespace {

std::string section(const std::string& title, const std::string& note, const std::string& content) {
  if (content.empty()) return {};
  return "<section><h2>" + escaped(title) + "</h2>" + (note.empty() ? "" : "<p>" + escaped(note) + "</p>") + content +
         "</section>\n";
}

std::string grid(const std::string& charts) { return charts.empty() ? "" : "<div class=\"grid\">" + charts + "</div>"; }

/// One line for each reward, of the metric of its name.
std::vector<Line> lines_of(const RunData& run, const std::string& start, const std::string& end) {
  std::vector<Line> lines;
  for (const std::string& reward : run.rewards) lines.push_back({reward, &run.curve(start + reward + end)});
  return lines;
}

std::string summary(const RunData& run) {
  std::string rows;
  for (const std::string& reward : run.rewards) {
    const Curve& mean = run.curve("rewards/" + reward + "/mean");
    const Curve& weight = run.curve("conductor/weight/" + reward);
    rows += "<tr><td>" + escaped(reward) + "</td>";
    for (const double value : {mean.early(), mean.late(), weight.early(), weight.late(),
                               run.curve("rewards/" + reward + "/frac_group_varies").late(),
                               run.curve("rewards/" + reward + "/advantage_correlation").late()}) {
      rows += "<td class=\"n\">" + figure(value) + "</td>";
    }
    rows += "</tr>";
  }
  return "<div class=\"wide\"><table><tr><th>reward</th><th class=\"n\">mean, first tenth</th><th class=\"n\">last "
         "tenth</th><th class=\"n\">weight, first tenth</th><th class=\"n\">last tenth</th><th class=\"n\">groups in "
         "which it varies</th><th class=\"n\">pull on the advantage</th></tr>" +
         rows + "</table></div>";
}

std::string reward_charts(const RunData& run) {
  std::string charts;
  for (const std::string& reward : run.rewards) {
    Chart chart{.title = reward, .note = "mean of the batch"};
    chart.lines.push_back({"training", &run.curve("rewards/" + reward + "/mean")});
    const auto evaluated = run.evaluated.find("eval_rewards/" + reward + "/mean");
    if (evaluated != run.evaluated.end()) {
      chart.lines.push_back({.name = "prompts not trained on", .curve = &evaluated->second, .dots = true});
    }
    charts += html_of(std::move(chart));
  }
  return grid(charts);
}

std::string weight_charts(const RunData& run) {
  std::string charts =
      html_of({.title = "all prompts", .lines = lines_of(run, "conductor/weight/", ""), .from_zero = true});
  if (run.tasks.size() > 1) {
    for (const std::string& task : run.tasks) {
      charts += html_of(
          {.title = "task " + task, .lines = lines_of(run, "conductor/task/" + task + "/", ""), .from_zero = true});
    }
  }
  charts += html_of({.title = "distance of the Conductor from no preference",
                     .note = "nats; under 0.05 it prefers nothing",
                     .lines = {{"KL to uniform", &run.curve("conductor/kl_to_uniform")}},
                     .from_zero = true});
  return grid(charts);
}

std::string signal_charts(const RunData& run) {
  const auto one = [&](const char* title, const char* note, std::vector<std::pair<const char*, const char*>> metrics,
                       bool from_zero = true) {
    Chart chart{.title = title, .note = note, .from_zero = from_zero};
    for (const auto& [name, metric] : metrics) chart.lines.push_back({name, &run.curve(metric)});
    return html_of(std::move(chart));
  };
  std::string charts = one("groups without signal", "share in which no reward varies; near 1 nothing is learned",
                           {{"share", "frac_reward_zero_std"}});
  charts += html_of({.title = "groups in which a reward varies",
                     .note = "share; a reward near 0 teaches nothing",
                     .lines = lines_of(run, "rewards/", "/frac_group_varies"),
                     .from_zero = true});
  charts += one("length of responses", "tokens; a steady climb or fall is a sign of gaming",
                {{"longest", "completions/max_length"},
                 {"mean", "completions/mean_length"},
                 {"shortest", "completions/min_length"}});
  charts += one("responses cut at the limit", "share; large: raise --max-completion-length",
                {{"share", "completions/clipped_ratio"}});
  charts += one("entropy", "nats a token; near 0 all responses are the same", {{"entropy", "entropy"}});
  charts += one("KL to the reference", "nats a token; a jump: lower the rate or raise --beta", {{"KL", "kl"}});
  charts += one("gradient norm", "before clipping", {{"norm", "grad_norm"}});
  charts += one("learning rate", "", {{"rate", "learning_rate"}});
  charts += one("seconds of a step", "",
                {{"generating", "time/rollout"},
                 {"rewards", "time/rewards"},
                 {"training", "time/training"},
                 {"all", "time/step"}});
  return grid(charts);
}

/// A cell whose back says how far a correlation is from 0.
std::string correlation_cell(double value) {
  if (std::isnan(value)) return "<td class=\"cell\">–</td>";
  const std::string color = value < 0.0 ? "var(--minus)" : "var(--plus)";
  return "<td class=\"cell\" style=\"background:rgba(" + color + "," + figure(0.6 * std::min(std::abs(value), 1.0)) +
         ")\">" + figure(std::round(100.0 * value) / 100.0) + "</td>";
}

std::string conflict(const RunData& run) {
  const auto correlation = [&](const std::string& a, const std::string& b) {
    const Curve& curve = run.curve("rewards/" + a + "/correlation/" + b);
    return curve.empty() ? run.curve("rewards/" + b + "/correlation/" + a).late() : curve.late();
  };
  std::string rows;
  for (const std::string& a : run.rewards) {
    rows += "<tr><th>" + escaped(a) + "</th>";
    for (const std::string& b : run.rewards) {
      rows += a == b ? "<td class=\"cell\">·</td>" : correlation_cell(correlation(a, b));
    }
    rows += correlation_cell(run.curve("rewards/" + a + "/advantage_correlation").late()) + "</tr>";
  }
  std::string head;
  for (const std::string& reward : run.rewards) head += "<th>" + escaped(reward) + "</th>";
  std::string charts = html_of({.title = "pull on the advantage",
                                .note = "correlation of each reward with the advantage",
                                .lines = lines_of(run, "rewards/", "/advantage_correlation")});
  return "<div class=\"grid\"><figure class=\"double\"><figcaption>correlation inside the groups<small>mean of the "
         "last tenth of the "
         "run; below 0 two rewards pull apart</small></figcaption><div class=\"wide\"><table><tr><th></th>" +
         head + "<th>advantage</th></tr>" + rows + "</table></div></figure>" + charts + "</div>";
}

/// What rewards counted themselves: calls, failures, tokens, cost.
std::string outside(const RunData& run) {
  constexpr std::array<std::string_view, 5> usual{"mean", "std", "frac_group_varies", "advantage_correlation", ""};
  std::string rows;
  for (const auto& [name, curve] : run.metrics) {
    for (const std::string& reward : run.rewards) {
      const std::string own = detail::between(name, "rewards/" + reward + "/", "");
      const bool known = std::find(usual.begin(), usual.end(), own) != usual.end() || own.starts_with("correlation/");
      if (known || curve.empty()) continue;
      double sum = 0.0;
      for (const double value : curve.values) sum += value;
      rows += "<tr><td>" + escaped(reward) + "</td><td>" + escaped(own) + "</td><td class=\"n\">" +
              figure(curve.values.back()) + "</td><td class=\"n\">" + figure(sum) + "</td></tr>";
    }
  }
  if (rows.empty()) return {};
  return "<div class=\"wide\"><table><tr><th>reward</th><th>figure</th><th class=\"n\">last step</th><th "
         "class=\"n\">sum over the steps</th></tr>" +
         rows + "</table></div>";
}

double number_at(const Json& record, const char* key, const std::string& name) {
  const auto entry = record.find(key);
  if (entry == record.end() || !entry->is_object()) return std::nan("");
  const auto value = entry->find(name);
  return value != entry->end() && value->is_number() ? value->get<double>() : std::nan("");
}

std::string text_at(const Json& record, const char* key) {
  const auto value = record.find(key);
  if (value == record.end() || value->is_null()) return {};
  return value->is_string() ? value->get<std::string>() : dump_json(*value);
}

std::string answer(const RunData& run, const Json& record) {
  const auto advantage = record.find("advantage");
  const bool known = advantage != record.end() && advantage->is_number();
  const double pull = known ? advantage->get<double>() : std::nan("");
  std::string rows;
  for (const std::string& reward : run.rewards) {
    rows += "<tr><td>" + escaped(reward) + "</td><td class=\"n\">" + figure(number_at(record, "rewards", reward)) +
            "</td><td class=\"n\">× " + figure(number_at(record, "weights", reward)) + "</td></tr>";
  }
  const std::string text = record.contains("completion") ? text_at(record, "completion") : text_at(record, "actions");
  return "<div class=\"answer\"><pre>" + escaped(text) +
         "</pre><table><tr><th>reward</th><th class=\"n\">value</th><th "
         "class=\"n\">weight</th></tr>" +
         rows + "<tr><td>advantage</td><td></td><td class=\"n " + (pull < 0.0 ? "down" : "up") + "\">" + figure(pull) +
         "</td></tr></table></div>";
}

/// The responses of a prompt side by side, step by step, the newest first.
std::string samples(const RunData& run) {
  std::string html;
  std::size_t i = 0;
  std::vector<std::string> steps;
  while (i < run.samples.size()) {
    const double step = detail::step_of(run.samples[i]);
    std::string content;
    while (i < run.samples.size() && detail::step_of(run.samples[i]) == step) {
      const Json& first = run.samples[i];
      const std::string task = text_at(first, "task");
      content += "<div class=\"prompt\">" + (task.empty() ? "" : "<b>" + escaped(task) + "</b>\n") +
                 escaped(text_at(first, "prompt")) + "</div><div class=\"answers\">";
      for (; i < run.samples.size() && detail::step_of(run.samples[i]) == step &&
             text_at(run.samples[i], "row") == text_at(first, "row");
           ++i) {
        content += answer(run, run.samples[i]);
      }
      content += "</div>";
    }
    steps.push_back("><summary>step " + figure(step) + "</summary>" + content + "</details>\n");
  }
  for (std::size_t s = steps.size(); s-- > 0;)
    html += (s + 1 == steps.size() ? "<details open" : "<details") + steps[s];
  return html;
}

std::string settings(const RunData& run) {
  if (!run.settings.is_object()) return {};
  std::string rows;
  for (const auto& [name, value] : run.settings.items()) {
    rows += "<tr><td>--" + escaped(name) + "</td><td>" +
            escaped(value.is_string() ? value.get<std::string>() : dump_json(value)) + "</td></tr>";
  }
  return "<div class=\"wide\"><table>" + rows + "</table></div>";
}

std::string page(const RunData& run) {
  const double tokens = run.curve("num_tokens").empty() ? 0.0 : run.curve("num_tokens").values.back();
  double seconds = 0.0;
  for (const double step : run.curve("time/step").values) seconds += step;
  const std::string title =
      escaped(std::filesystem::absolute(run.folder + "/.").lexically_normal().parent_path().filename().string());
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><title>" +
         title + "</title><style>" + detail::report_style + "</style></head><body>\n<h1>" + title + "</h1><p>" +
         figure(run.steps) + " steps, " + figure(tokens) + " tokens" +
         (seconds > 0.0 ? ", " + figure(seconds / 60.0) + " minutes of steps" : "") + "</p>\n" + summary(run) +
         section("Rewards", "", reward_charts(run)) +
         section("Weights", "what the Conductor, or the rule, gives each reward", weight_charts(run)) +
         section("Conflict and influence", "", conflict(run)) + section("Health", "", signal_charts(run)) +
         section("What rewards counted", "calls, failures, tokens and cost of rewards from outside", outside(run)) +
         section("Responses", "of a few prompts, with every reward, its weight and the advantage", samples(run)) +
         section("Settings", "what was given; train --config run.json runs it again", settings(run)) +
         "</body></html>\n";
}

}  // namespace

std::string write_report(const std::string& folder) {
  const std::string path = folder + "/report.html";
  write_file(path, page(read_run(folder)));
  return path;
}

}  // namespace maestro::examples
