#include "train/outside.hpp"

#if defined(MAESTRO_TRAIN_HTTP)
#include "maestro/http.hpp"
#endif

#include <string>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/trainer/checkpoints.hpp"

namespace maestro::examples {

HttpTransport http_transport() {
#if defined(MAESTRO_TRAIN_HTTP)
  return HttpClient();
#else
  throw BadArgument(
      "--reward-url, --judge-url and --rollout-url need HTTP, and this program was built without: install cpp-httplib "
      "and OpenSSL "
      "(Debian: libcpp-httplib-dev, libssl-dev) and build it again");
#endif
}

JudgeOptions judge_options(const TrainOptions& options) {
  const OutsideOptions& o = options.outside;
  if (o.judge_model.empty()) throw BadArgument("--judge-url needs --judge-model, the judge as its server names it");
  if (o.judge_rubric.empty()) throw BadArgument("--judge-url needs --judge-rubric, a text file");
  JudgeOptions judge{.model = o.judge_model,
                     .rubric = read_file(o.judge_rubric, std::size_t{1} << 20),
                     .worst = o.judge_worst,
                     .best = o.judge_best,
                     .max_tokens = o.judge_max_tokens,
                     .schema = o.judge_schema};
  judge.calls = {.url = o.judge_url,
                 .key_variable = o.judge_key,
                 .concurrency = o.judge_concurrency,
                 .timeout_seconds = o.timeout,
                 .retry = {.retries = o.retries},
                 .requests_per_minute = o.judge_requests,
                 .tokens_per_minute = o.judge_tokens,
                 .max_calls = o.judge_max_calls,
                 .max_cost = o.judge_max_cost,
                 .prompt_price = o.judge_prompt_price,
                 .completion_price = o.judge_completion_price};
  if (options.dry_run == DryRun::yes) return judge;
  judge.calls.cache = o.judge_cache;
  if (judge.calls.cache.empty()) {
    maestro::detail::make_folder(options.output);
    judge.calls.cache = options.output + "/judge.jsonl";
  }
  return judge;
}

}  // namespace maestro::examples
