// The laws of the Policy concept, on a model of libtorch.

#define BOOST_TEST_MODULE torch_policy
#include "torch_policy.hpp"

#include <boost/test/unit_test.hpp>
#include <memory>
#include <vector>

#include "char_model.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "policy/laws.hpp"

namespace {

using Double = TorchPolicy<CharModel, maestro::ByteTokenizer, double>;
static_assert(maestro::Policy<Double>);

Double policy() {
  torch::manual_seed(3);
  auto model = std::make_shared<CharModel>();
  model->to(torch::kFloat64);
  return Double(std::move(model), maestro::ByteTokenizer(), 64);
}

std::vector<maestro::Prompt> prompts() {
  std::vector<maestro::Prompt> made(3);
  const char* texts[] = {"a", "longer than the others", "b c"};
  for (std::size_t n = 0; n < made.size(); ++n) {
    made[n].row = static_cast<std::int64_t>(n);
    made[n].text = texts[n];
  }
  return made;
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_generates) { laws::generates(policy(), prompts(), laws::sampling()); }
BOOST_AUTO_TEST_CASE(its_log_probs_agree) { laws::log_probs_agree(policy(), prompts(), laws::sampling(), 1e-5); }
BOOST_AUTO_TEST_CASE(its_copies_share_nothing) { laws::copies_and_gradients(policy(), prompts(), laws::sampling()); }
BOOST_AUTO_TEST_CASE(its_gradient_is_right) {
  Double made = policy();
  const maestro::Rollouts rollouts = made.generate(prompts(), laws::sampling(2, 3), {.seed = 1});
  laws::differentiates<float>(made, rollouts, 997, 5e-3, 1e-3);
}
BOOST_AUTO_TEST_CASE(a_prompt_without_text_is_refused) {
  std::vector<maestro::Prompt> empty(1);
  BOOST_CHECK_THROW(policy().check_prompts(empty, laws::sampling()), maestro::BadData);
}
