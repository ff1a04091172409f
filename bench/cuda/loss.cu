// The policy loss over ragged responses: value and gradient.
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/cuda/objective/loss.hpp"

namespace maestro::bench::device {

namespace {

template <class E>
struct Loss {
  explicit Loss(const Options& o) : loss(place.executor, options()) {
    std::vector<std::int64_t> ends{0};
    for (std::size_t i = 0; i < o.rows; ++i) ends.push_back(ends.back() + length(i));
    const auto tokens = static_cast<std::size_t>(ends.back());
    offsets = place.upload(ends);
    advantages = place.upload(centered_values<float>(Purpose::advantages, o.rows));
    const auto log_prob = [](std::size_t t) { return -3.0f * uniform(Purpose::log_probs, t); };
    const auto near = [&](Purpose purpose, float width) {
      return filled<float>(tokens, [&](std::size_t t) { return log_prob(t) + width * centered(purpose, t); });
    };
    log_probs = place.upload(filled<float>(tokens, log_prob));
    old_log_probs = place.upload(near(Purpose::old_log_probs, 0.4f));
    reference_log_probs = place.upload(near(Purpose::reference_log_probs, 0.8f));
    gradients = place.template room<float>(tokens);
    report = place.template room<LossReport>(1);
    in.responses.offsets = offsets.data();
    in.responses.rows = o.rows;
    in.responses.tokens = tokens;
    in.log_probs = log_probs.data();
    in.old_log_probs = old_log_probs.data();
    in.reference_log_probs = reference_log_probs.data();
    in.advantages = advantages.data();
    in.batch.tokens = static_cast<double>(tokens);
    in.batch.responses = static_cast<double>(o.rows);
    run();
    place.write(o.dump, "figures", std::vector<double>{loss.report().loss});
    place.dump(o.dump, "gradients", gradients.data(), tokens);
  }

  static ObjectiveOptions options() { return {.reduction = Reduction::grpo, .beta = 0.04}; }
  /// From 384 to 640, 512 on average.
  static std::int64_t length(std::size_t row) {
    return 384 + static_cast<std::int64_t>(scrambled(Purpose::lengths, row) % 257);
  }

  void run() { loss(in, {.d_log_probs = gradients.data(), .report = report.data()}, place.faults.data()); }

  using Floats = typename E::template Buffer<float>;

  Place<E> place{};
  gpu::PolicyLoss<E> loss;
  typename E::template Buffer<std::int64_t> offsets{};
  Floats advantages{};
  Floats log_probs{};
  Floats old_log_probs{};
  Floats reference_log_probs{};
  Floats gradients{};
  typename E::template Buffer<LossReport> report{};
  gpu::LossBatch<float> in{};
};

}  // namespace

Work loss(const Options& o) {
  return on_executor(
      o, [&](auto* executor) { return work_of(std::make_shared<Loss<std::remove_pointer_t<decltype(executor)>>>(o)); });
}

}  // namespace maestro::bench::device
