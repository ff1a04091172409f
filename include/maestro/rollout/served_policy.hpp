#pragma once

/// @file
/// A policy whose responses come from a rollout server. It satisfies Policy.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/crc32c.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/io/file.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/rollout/ahead.hpp"
#include "maestro/rollout/answer.hpp"
#include "maestro/rollout/gap.hpp"
#include "maestro/rollout/options.hpp"
#include "maestro/rollout/server.hpp"
#include "maestro/rollout/weight_folders.hpp"

namespace maestro {

/// ServedOptions holds how a policy uses its server.
struct ServedOptions {
  std::string folder{};            ///< shared with the server; weights are written here
  std::string folder_on_server{};  ///< the path of this folder on the server; empty if it is the same
  ServedHidden hidden = ServedHidden::local;
  MissingGroup missing = MissingGroup::stop;
  GapBounds gap{};
  std::size_t ahead = 0;           ///< S, batches drawn while the trainer learns; 0 for none
  std::size_t read_tokens = 2048;  ///< tokens of one pass of the local policy over the responses
  std::size_t probe_tokens = 32;   ///< with `ahead`, tokens of the response that checks new weights
  std::size_t folders_kept = 2;    ///< number of newest weight folders that are kept, at least 2
  /// Called repeatedly while the policy waits for the server. If it returns true, all calls are canceled for good and
  /// `generate` throws Interrupted. If it is not set, the policy waits.
  std::function<bool()> should_stop{};
};

/// ServedFigures describes the last call of ServedPolicy::generate. Counts are those since the call before it. With
/// batches ahead, they include everything drawn in between.
struct ServedFigures {
  RolloutCounts counts{};
  LogProbGap gap{};        ///< of responses drawn by the current weights, and of the probe
  LogProbGap stale_gap{};  ///< of responses drawn by older weights
  std::size_t groups_missing = 0;
  double staleness_mean = 0.0;  ///< over responses: the number of updates since the weights that drew it
  std::uint32_t staleness_max = 0;
};

/// ReadsResponses is a policy over tokens that can compute the log-probs of responses drawn elsewhere, as
/// TransformerPolicy can.
template <class P>
concept ReadsResponses = Policy<P> &&
    requires(const P& policy, const Rollouts& rollouts, Rollouts& written, GroupRange range, std::span<float> values,
             MatrixView<float> hidden, const Prompt& prompt, std::span<const std::int32_t> stops) {
  policy.read(rollouts, range, values, values, hidden, hidden);
  policy.write_texts(stops, written);
  { policy.encode_prompt(prompt) } -> std::convertible_to<std::vector<std::int32_t>>;
  { policy.stop_tokens() } -> std::convertible_to<std::vector<std::int32_t>>;
  { policy.config().vocabulary } -> std::convertible_to<std::size_t>;
};

namespace detail {

/// Gives now - before for each count.
inline RolloutCounts difference(const RolloutCounts& now, const RolloutCounts& before) {
  RolloutCounts d{.requested = now.requested - before.requested,
                  .received = now.received - before.received,
                  .missing = now.missing - before.missing,
                  .retries = now.retries - before.retries,
                  .failed_calls = now.failed_calls - before.failed_calls,
                  .published = now.published - before.published};
  for (std::size_t i = 0; i < d.faults.size(); ++i) d.faults[i] = now.faults[i] - before.faults[i];
  return d;
}

}  // namespace detail

/// ServedPolicy is the policy P, except that a server draws its responses and receives its weights. Everything else is
/// P's: training passes, log-probs, entropies, hidden states, texts. Without a server it behaves as P.
///
///     auto server = std::make_shared<RolloutServer>(HttpClient(), RolloutServerOptions{...});
///     ServedPolicy<P> policy(std::move(local), server, {.folder = "shared"}, write);
///
/// `generate` publishes the weights if they changed, and draws responses. Then it runs one forward pass over the
/// responses, which gives entropies, hidden states, and the log-probs that are compared with those of the server.
/// Rollouts::log_probs are the server's, of the policy that drew the responses. Rollouts::versions gives the number of
/// its weights. The server draws, so the same seed gives the same responses only if the server is deterministic. Copies
/// share the server.
///
/// With `ahead` = S batches and `upcoming`, the batches of the next S steps are drawn while the trainer learns, by
/// weights that are up to S updates old. An importance correction is then needed (TrainerOptions::correction). Each
/// group is drawn by one version of the weights. Batches depend only on the step. So batches that are being drawn when
/// a run ends are drawn again by the run that continues from its checkpoint, and no prompt is skipped or trained twice.
template <ReadsResponses P>
class ServedPolicy : public P {
 public:
  /// Writes the weights of a policy into a folder that appears in one step, complete.
  using WriteWeights = std::function<void(const P&, const std::string& folder)>;
  /// Gives the prompts of a 0-based step; none if there is no such step.
  using Upcoming = std::function<std::vector<Prompt>(std::uint32_t step)>;

  /// Makes a policy without a server.
  ServedPolicy(P local) : P(std::move(local)) {}
  /// Makes a policy with a server. It makes no call yet.
  /// @param write     writes the weights for the server; see write_weights.
  /// @param upcoming  required by `ahead`.
  /// @throws BadArgument for options outside their domains; Unsupported for hidden states of a server that is not
  ///         SGLang.
  ServedPolicy(P local, std::shared_ptr<RolloutServer> server, const ServedOptions& options, WriteWeights write,
               Upcoming upcoming = {})
      : P(std::move(local)) {
    require(server != nullptr && write != nullptr, "served policy: it needs a server and a way to write weights");
    require(!options.folder.empty(), "served policy: it needs a folder that it shares with the server");
    require(options.ahead == 0 || upcoming, "served policy: batches ahead need the prompts of the steps to come");
    require(options.read_tokens > 0 && options.probe_tokens > 0, "served policy: read_tokens, probe_tokens are 0");
    require(options.folders_kept >= 2, "served policy: folders_kept must be at least 2");
    check(LogProbGap{}, options.gap);
    if (options.hidden == ServedHidden::server && server->options().dialect != RolloutDialect::sglang) {
      throw Unsupported("served policy: vLLM gives no hidden states; take ServedHidden::local");
    }
    shared_ = std::make_shared<Shared>(std::move(server), options, std::move(write), std::move(upcoming));
  }

  bool served() const { return shared_ != nullptr; }
  /// Gives the figures of the last generation. There must be a server.
  const ServedFigures& figures() const { return shared_->figures; }

  /// Calls f(name, value) for the figures of the last step. Without a server it calls nothing.
  template <class F>
  void visit_figures(F&& f) const {
    if (!served()) return;
    const ServedFigures& figures = shared_->figures;
    const auto count = [&](std::string_view name, std::uint64_t value) { f(name, static_cast<double>(value)); };
    f("logprob_gap_mean", figures.gap.mean());
    f("logprob_gap_max", figures.gap.max);
    if (shared_->options.ahead > 0) {
      f("stale_logprob_gap_mean", figures.stale_gap.mean());
      f("staleness_mean", figures.staleness_mean);
      f("staleness_max", static_cast<double>(figures.staleness_max));
    }
    count("responses_requested", figures.counts.requested);
    count("responses_received", figures.counts.received);
    count("responses_missing", figures.counts.missing);
    count("groups_missing", figures.groups_missing);
    count("retries", figures.counts.retries);
    count("failed_calls", figures.counts.failed_calls);
    for (std::size_t i = 0; i < answer_fault_names.size(); ++i) count(answer_fault_names[i], figures.counts.faults[i]);
    count("weights_published", figures.counts.published);
  }

  /// Refuses prompts and options that generate would refuse.
  /// @throws Unsupported or BadArgument as generate.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    if (served()) shared_->server->check_sampling(sampling);
    P::check_prompts(prompts, sampling);
  }

  /// Draws G responses per prompt by the server, as described for the class.
  /// @throws IoError if the server does not take the weights, or if responses are missing and MissingGroup::leave does
  ///         not allow it; BadData for a gap above its bound; Interrupted, after which the policy is unchanged but its
  ///         server is stopped; what P::generate throws for prompts.
  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    if (!served()) return P::generate(prompts, sampling, key);
    check_prompts(prompts, sampling);
    require(!prompts.empty(), "served policy: there are no prompts");
    shared_->figures = ServedFigures{};
    const bool fresh = publish();
    const bool asked_ahead = draws_ahead() && same_rows(prompts, shared_->upcoming(key.step));
    if (asked_ahead && fresh) probe(prompts[0], sampling);
    // A step that was not asked for comes first, or again: what is held belongs to another course of the run.
    if (asked_ahead && !shared_->ahead->has(key.step)) until_stopped([&] { shared_->ahead->clear(); });
    const bool held = asked_ahead && shared_->ahead->has(key.step);
    const std::vector<GroupRequest> requests = held ? std::vector<GroupRequest>() : requests_of(prompts, sampling, key);
    const std::vector<GroupOutcome> outcomes =
        until_stopped([&] { return held ? shared_->ahead->take(key.step) : shared_->server->generate(requests); });
    if (asked_ahead) push_ahead(sampling, key);
    Rollouts rollouts = assemble(prompts, sampling, outcomes);
    read_responses(rollouts, sampling);
    const RolloutCounts counts = shared_->server->counts();
    shared_->figures.counts = detail::difference(counts, shared_->counted);
    shared_->counted = counts;
    return rollouts;
  }

 private:
  struct Shared {
    Shared(std::shared_ptr<RolloutServer> rollout_server, const ServedOptions& served_options, WriteWeights write_to,
           Upcoming prompts)
        : server(std::move(rollout_server)),
          options(served_options),
          write(std::move(write_to)),
          upcoming(std::move(prompts)),
          folders(options.folder, options.folders_kept) {
      if (options.ahead > 0) {
        ahead.emplace([s = server](std::vector<GroupRequest> requests) { return s->generate(std::move(requests)); },
                      options.ahead);
      }
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() {
      if (ahead) server->stop();
      ahead.reset();
    }

    std::shared_ptr<RolloutServer> server;
    ServedOptions options;
    WriteWeights write;
    Upcoming upcoming;
    std::optional<BatchesAhead> ahead{};
    std::optional<std::uint32_t> checksum{};  // of the weights that the server has
    WeightFolders folders;
    RolloutCounts counted{};
    ServedFigures figures{};
  };

  bool draws_ahead() const { return shared_->options.ahead > 0; }

  /// Does what waits for the server on a thread of its own, if it may be given up.
  /// @throws Interrupted
  template <class Work>
  auto until_stopped(const Work& work) const -> decltype(work()) {
    if (!shared_->options.should_stop) return work();
    std::future<decltype(work())> done = std::async(std::launch::async, work);
    while (done.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      if (!shared_->options.should_stop()) continue;
      shared_->server->stop();
      done.wait();
      throw Interrupted("rollout server: calls were given up, since the run is to stop");
    }
    return done.get();
  }

  static bool same_rows(std::span<const Prompt> a, const std::vector<Prompt>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Prompt& x, const Prompt& y) { return x.row == y.row && x.text == y.text; });
  }

  /// Hands the weights to the server if it does not have them; whether it did.
  bool publish() {
    std::uint32_t checksum = 0;
    this->visit([&](auto parameter) { checksum = crc32c(std::as_bytes(parameter.values), checksum); });
    Shared& s = *shared_;
    if (s.checksum == checksum) return false;
    s.folders.open();
    const std::string name = s.folders.name(s.server->version() + 1, checksum);
    s.write(*this, s.folders.path(name));
    s.folders.add(name);
    const std::string seen = s.options.folder_on_server.empty()
                                 ? s.folders.folder()
                                 : detail::without_trailing_slashes(s.options.folder_on_server);
    s.checksum.reset();
    until_stopped([&] { s.server->load(seen + "/" + name, name); });
    s.checksum = checksum;
    s.folders.trim();
    return true;
  }

  std::vector<GroupRequest> requests_of(std::span<const Prompt> prompts, const Sampling& sampling,
                                        const DrawKey& key) const {
    std::vector<std::int32_t> stops = this->stop_tokens();
    stops.insert(stops.end(), sampling.stop_tokens.begin(), sampling.stop_tokens.end());
    const bool hidden = shared_->options.hidden == ServedHidden::server;
    std::vector<GroupRequest> requests;
    for (std::size_t g = 0; g < prompts.size(); ++g) {
      const std::array<std::uint64_t, 4> place{key.seed, key.step, static_cast<std::uint64_t>(prompts[g].row), g};
      const std::string_view bytes(reinterpret_cast<const char*>(place.data()), sizeof place);
      requests.push_back({.prompt = this->encode_prompt(prompts[g]),
                          .sampling = sampling,
                          .stops = stops,
                          .vocabulary = this->config().vocabulary,
                          .hidden_size = hidden ? this->hidden_size() : 0,
                          .seed = fnv1a(bytes) >> 33});
    }
    return requests;
  }

  /// Asks for the batches of the steps to come, as many as may be held.
  void push_ahead(const Sampling& sampling, const DrawKey& key) {
    for (std::uint32_t step = key.step + 1; step <= key.step + shared_->options.ahead; ++step) {
      if (shared_->ahead->has(step)) continue;
      const std::vector<Prompt> prompts = shared_->upcoming(step);
      if (prompts.empty()) return;
      check_prompts(prompts, sampling);
      shared_->ahead->push(step, requests_of(prompts, sampling, {.seed = key.seed, .step = step}));
    }
  }

  /// Packs the groups that are there.
  /// @throws IoError
  Rollouts assemble(std::span<const Prompt> prompts, const Sampling& sampling,
                    const std::vector<GroupOutcome>& outcomes) {
    Rollouts rollouts;
    rollouts.temperature = sampling.temperature;
    for (std::size_t g = 0; g < prompts.size(); ++g) {
      const GroupOutcome& outcome = outcomes[g];
      if (!outcome.group) {
        ++shared_->figures.groups_missing;
        const bool any_left = shared_->figures.groups_missing < prompts.size();
        if (shared_->options.missing == MissingGroup::leave && any_left) continue;
        throw IoError("rollout server: no responses to the prompt of data row " + std::to_string(prompts[g].row) +
                      ": " + outcome.failure);
      }
      rollouts.prompts.push_back(prompts[g]);
      rollouts.prompt_tokens.push_row(this->encode_prompt(prompts[g]));
      for (const DrawnResponse& response : outcome.group->responses) {
        rollouts.tokens.push_row(response.tokens);
        rollouts.log_probs.insert(rollouts.log_probs.end(), response.log_probs.begin(), response.log_probs.end());
        rollouts.finish.push_back(response.finish);
        rollouts.versions.push_back(outcome.version);
      }
    }
    rollouts.groups = Groups::uniform(rollouts.prompts.size(), sampling.num_generations);
    if (shared_->options.hidden == ServedHidden::server) take_hidden(outcomes, rollouts);
    std::vector<std::int32_t> stops = this->stop_tokens();
    stops.insert(stops.end(), sampling.stop_tokens.begin(), sampling.stop_tokens.end());
    this->write_texts(stops, rollouts);
    return rollouts;
  }

  void take_hidden(const std::vector<GroupOutcome>& outcomes, Rollouts& rollouts) const {
    rollouts.hidden.resize(rollouts.size(), this->hidden_size());
    std::size_t row = 0;
    for (const GroupOutcome& outcome : outcomes) {
      if (!outcome.group) continue;
      for (const DrawnResponse& response : outcome.group->responses) {
        std::copy(response.hidden.begin(), response.hidden.end(), rollouts.hidden.row(row++).begin());
      }
    }
  }

  /// Fills entropies and hidden states, and compares log-probs.
  /// @throws BadData for a gap above its bound.
  void read_responses(Rollouts& rollouts, const Sampling& sampling) {
    const bool hidden = shared_->options.hidden == ServedHidden::local;
    const std::size_t tokens = rollouts.tokens.size();
    rollouts.entropies.resize(tokens);
    if (hidden) rollouts.hidden.resize(rollouts.size(), this->hidden_size());
    rollouts.prompt_hidden.resize(rollouts.groups.count(), this->hidden_size());
    std::vector<float> local(tokens);
    for_each_micro_batch(rollouts, {0, rollouts.groups.count()}, shared_->options.read_tokens, [&](GroupRange range) {
      const std::size_t first = rollouts.groups.offsets()[range.first];
      const std::size_t rows = rollouts.groups.offsets()[range.last] - first;
      this->read(rollouts, range, tokens_of(rollouts, range, std::span<float>(local)),
                 tokens_of(rollouts, range, std::span<float>(rollouts.entropies)),
                 hidden ? rollouts.hidden.view().middle_rows(first, rows) : MatrixView<float>(),
                 rollouts.prompt_hidden.view().middle_rows(range.first, range.last - range.first));
    });
    if (sampling.decoding == Decoding::greedy) {  // a server's log-probs are then not those of the temperature
      rollouts.log_probs = local;
      return;
    }
    compare(rollouts, local);
  }

  void compare(const Rollouts& rollouts, std::span<const float> local) {
    const std::uint32_t now = shared_->server->version();
    ServedFigures& figures = shared_->figures;
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const std::uint32_t staleness = now - rollouts.versions[i];
      const std::span<const float> served(rollouts.log_probs.data() + rollouts.tokens.offset(i),
                                          rollouts.tokens.length(i));
      LogProbGap& gap = staleness == 0 ? figures.gap : figures.stale_gap;
      gap.add(served, local.subspan(rollouts.tokens.offset(i), served.size()));
      figures.staleness_mean += static_cast<double>(staleness) / static_cast<double>(rollouts.size());
      figures.staleness_max = std::max(figures.staleness_max, staleness);
    }
    if (draws_ahead() && figures.staleness_max > shared_->options.ahead) {
      throw BadData("served policy: responses drawn " + std::to_string(figures.staleness_max) +
                    " updates ago, more than the limit of " + std::to_string(shared_->options.ahead));
    }
    check(figures.gap, shared_->options.gap);
  }

  /// Draws one short response by new weights and compares its log-probs, since batches ahead are of older ones.
  void probe(const Prompt& prompt, const Sampling& sampling) {
    Sampling one = sampling;
    one.num_generations = 1;
    one.decoding = Decoding::sample;
    one.max_completion_length = std::min(sampling.max_completion_length, shared_->options.probe_tokens);
    const std::vector<GroupRequest> requests =
        requests_of(std::span(&prompt, 1), one, {.seed = shared_->server->version()});
    const std::vector<GroupOutcome> outcomes = until_stopped([&] { return shared_->server->generate(requests); });
    if (!outcomes[0].group) throw IoError("rollout server: no answer by the new weights: " + outcomes[0].failure);
    Rollouts rollouts;
    rollouts.temperature = one.temperature;
    rollouts.prompts.push_back(prompt);
    rollouts.prompt_tokens.push_row(this->encode_prompt(prompt));
    rollouts.groups = Groups::uniform(1, 1);
    const DrawnResponse& response = outcomes[0].group->responses[0];
    rollouts.tokens.push_row(response.tokens);
    std::vector<float> local(response.tokens.size());
    std::vector<float> entropies(local.size());
    this->read(rollouts, {0, 1}, local, entropies, MatrixView<float>());
    shared_->figures.gap.add(response.log_probs, local);
    check(shared_->figures.gap, shared_->options.gap);
  }

  std::shared_ptr<Shared> shared_{};
};

}  // namespace maestro
