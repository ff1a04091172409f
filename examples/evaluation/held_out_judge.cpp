#include "held_out_judge.hpp"

#include "../judge/judge.hpp"

namespace maestro::examples {

double held_out_score(const Completion& completion) {
  return judge::judge_response(completion.prompt, completion.text).score();
}

Remark held_out_remark(const Prompt& prompt, std::string_view response) {
  const judge::Verdict verdict = judge::judge_response(prompt, response);
  return {verdict.score(), verdict.breakdown()};
}

}  // namespace maestro::examples
