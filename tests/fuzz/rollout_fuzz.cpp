#include <algorithm>
#include <cmath>

#include "fuzz_target.hpp"
#include "maestro/rollout/sglang.hpp"
#include "maestro/rollout/vllm.hpp"

/// The bytes as the answer of a rollout server, in both dialects: what is accepted is a whole group that could be.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace maestro_fuzz;
  const auto text = text_of(data, size);
  maestro::GroupRequest request{.prompt = {3, 4}, .stops = {9}, .vocabulary = 10, .hidden_size = 2};
  request.sampling.num_generations = 2;
  request.sampling.max_completion_length = 3;
  const auto check = [&](const maestro::DrawnGroup& group, std::size_t hidden) {
    must(group.responses.size() == 2, "a group has as many responses as were asked for");
    for (const maestro::DrawnResponse& r : group.responses) {
      must(!r.tokens.empty() && r.tokens.size() <= 3, "a response has from 1 token to the limit");
      must(r.tokens.size() == r.log_probs.size(), "every token has a log-prob");
      must(r.hidden.size() == hidden, "a hidden state has its size");
      const bool stopped = r.tokens.back() == 9;
      must(stopped == (r.finish == maestro::Finish::stop), "a stop token ends a response");
      must(stopped || r.tokens.size() == 3, "a response without a stop token has the length limit");
      for (std::size_t t = 0; t < r.tokens.size(); ++t) {
        must(r.tokens[t] >= 0 && r.tokens[t] < 10, "a token is in the vocabulary");
        must(std::isfinite(r.log_probs[t]) && r.log_probs[t] <= 1e-3f, "a log-prob is finite and at most 0");
        must(t + 1 == r.tokens.size() || r.tokens[t] != 9, "a response does not go on after a stop token");
      }
      must(std::all_of(r.hidden.begin(), r.hidden.end(), [](float h) { return std::isfinite(h); }), "h is finite");
    }
  };
  accept_or_refuse([&] { check(maestro::sglang::parse_group(text, request, "server"), 2); });
  accept_or_refuse([&] { check(maestro::vllm::parse_group(text, request, "server"), 0); });
  accept_or_refuse([&] { maestro::sglang::check_done(text, "server"); });
  return 0;
}
