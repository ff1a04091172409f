#pragma once

/// @file
/// The policy of a run, whose responses a server may draw.

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/stop_signal.hpp"
#include "maestro/hub/folder_texts.hpp"
#include "maestro/rollout/publish.hpp"
#include "maestro/rollout/served_policy.hpp"
#include "maestro/trainer/prompt_order.hpp"
#include "train/models.hpp"
#include "train/options.hpp"
#include "train/outside.hpp"

namespace maestro::examples {

/// The server that --rollout-url names. It is not called yet.
template <class P>
std::shared_ptr<RolloutServer> rollout_server(const RolloutOptions& o) {
  RolloutServerOptions options{.dialect = o.dialect, .weights = weight_form<P>(), .model = o.model};
  options.calls.url = o.url;
  options.calls.key_variable = o.key;
  options.calls.concurrency = o.concurrency;
  options.calls.timeout_seconds = o.timeout;
  options.calls.retry.retries = o.retries;
  return std::make_shared<RolloutServer>(http_transport(), options);
}

/// Whether calls to the server are to be given up, which is said once.
inline bool stops_calls() {
  if (!stop_requested()) return false;
  static std::once_flag said;
  std::call_once(said, [] {
    std::cerr << "\ntrain: stopping: the calls to the rollout server that are under way are given up; the same command "
                 "draws those of its step again"
              << std::endl;
  });
  return true;
}

/// The policy, with a server where --rollout-url names one.
/// @param prompts  of the run; must outlive the policy.
template <class P>
ServedPolicy<P> served_policy(P local, const TrainOptions& o, const FolderTexts& texts,
                              std::span<const Prompt> prompts) {
  const RolloutOptions& r = o.rollout;
  if (r.url.empty()) return ServedPolicy<P>(std::move(local));
  const ServedOptions options{.folder = r.folder.empty() ? o.output + "/rollout_weights" : r.folder,
                              .folder_on_server = r.server_folder,
                              .hidden = r.hidden,
                              .missing = r.missing,
                              .gap = {.mean = r.max_gap, .max = r.max_token_gap},
                              .ahead = r.ahead,
                              .should_stop = stops_calls};
  const auto write = [base = o.model, store = store_as(o), texts](const P& policy, const std::string& folder) {
    write_weights(policy, folder, base, {.store = store, .texts = texts, .stop_tokens = policy.stop_tokens()});
  };
  const auto order = std::make_shared<PromptOrder>(prompts, o.trainer.prompts_per_step, o.trainer.seed);
  const auto upcoming = [order, steps = o.steps](std::uint32_t step) {
    return step < steps ? order->batch(step) : std::vector<Prompt>();
  };
  return ServedPolicy<P>(std::move(local), rollout_server<P>(r), options, write, upcoming);
}

}  // namespace maestro::examples
