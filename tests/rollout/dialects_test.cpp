// What is sent to rollout servers, and which answers are refused by which name.

#include <boost/test/unit_test.hpp>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/rollout/gap.hpp"
#include "maestro/rollout/sglang.hpp"
#include "maestro/rollout/vllm.hpp"

BOOST_AUTO_TEST_SUITE(rollout_dialects)

namespace {

using namespace maestro;

constexpr std::int32_t end_token = 9;

GroupRequest request(std::size_t count = 2) {
  GroupRequest r{.prompt = {3, 4}, .stops = {end_token, 8}, .vocabulary = 10, .model = "base", .seed = 77};
  r.sampling.num_generations = count;
  r.sampling.max_completion_length = 3;
  r.sampling.temperature = 0.5;
  return r;
}
Json sglang_answer(const std::vector<std::int32_t>& tokens, const std::string& reason, const std::string& version) {
  Json log_probs = Json::array();
  for (const std::int32_t token : tokens) log_probs.push_back({-0.25 * token, token, nullptr});
  return {{"meta_info",
           {{"finish_reason", {{"type", reason}}}, {"output_token_logprobs", log_probs}, {"weight_version", version}}}};
}
Json choice(std::size_t index, const std::vector<std::int32_t>& tokens, const std::string& reason) {
  Json log_probs = Json::array();
  for (const std::int32_t token : tokens) log_probs.push_back(-0.25 * token);
  return {{"index", index},
          {"token_ids", tokens},
          {"prompt_token_ids", {3, 4}},
          {"logprobs", {{"token_logprobs", log_probs}}},
          {"finish_reason", reason}};
}
Json good_sglang() { return {sglang_answer({1, 2, 9}, "stop", "v"), sglang_answer({5, 6, 7}, "length", "v")}; }
Json good_vllm() {
  return {{"model", "base"}, {"choices", {choice(1, {5, 6, 7}, "length"), choice(0, {1, 2, 9}, "stop")}}};
}

using Parse = DrawnGroup (*)(std::string_view, const GroupRequest&, const std::string&);

/// The name of the fault for which an answer is refused; "malformed" for what is no such answer at all.
std::string fault(Parse parse, const std::string& body, const GroupRequest& asked = request()) {
  try {
    parse(body, asked, "server");
  } catch (const BadAnswer& error) {
    return std::string(answer_fault_names[static_cast<std::size_t>(error.fault())]);
  } catch (const BadFile&) {
    return "malformed";
  }
  return "accepted";
}
std::string sglang_fault(const std::function<void(Json&)>& change) {
  Json answer = good_sglang();
  change(answer);
  return fault(sglang::parse_group, answer.dump());
}
std::string vllm_fault(const std::function<void(Json&)>& change) {
  Json answer = good_vllm();
  change(answer);
  return fault(vllm::parse_group, answer.dump());
}
void check_good(const DrawnGroup& group) {
  BOOST_REQUIRE(group.responses.size() == 2u);
  BOOST_TEST((group.responses[0].tokens == std::vector<std::int32_t>{1, 2, 9}));
  BOOST_TEST((group.responses[0].log_probs == std::vector<float>{-0.25f, -0.5f, -2.25f}));
  BOOST_TEST((group.responses[0].finish == Finish::stop));
  BOOST_TEST((group.responses[1].tokens == std::vector<std::int32_t>{5, 6, 7}));
  BOOST_TEST((group.responses[1].finish == Finish::length));
}

}  // namespace

BOOST_AUTO_TEST_CASE(sglang_is_asked_for_what_it_documents) {
  GroupRequest r = request();
  r.sampling.top_k = 5;
  r.adapter = "a";
  r.hidden_size = 2;
  const Json body = Json::parse(sglang::generate_body(r));
  BOOST_TEST((body == Json{{"input_ids", {3, 4}},
                           {"sampling_params",
                            {{"max_new_tokens", 3},
                             {"temperature", 0.5},
                             {"top_p", 1.0},
                             {"top_k", 5},
                             {"min_p", 0.0},
                             {"repetition_penalty", 1.0},
                             {"n", 2},
                             {"stop_token_ids", {9, 8}}}},
                           {"return_logprob", true},
                           {"stream", false},
                           {"lora_path", "a"},
                           {"return_hidden_states", "last"}}));
  r.sampling.top_k = 0;
  r.sampling.decoding = Decoding::greedy;
  const Json greedy = Json::parse(sglang::generate_body(r)).at("sampling_params");
  BOOST_TEST(greedy.at("top_k") == -1);
  BOOST_TEST(greedy.at("temperature") == 0.0);
}

BOOST_AUTO_TEST_CASE(vllm_is_asked_for_what_it_documents) {
  GroupRequest r = request();
  BOOST_TEST((Json::parse(vllm::generate_body(r)) == Json{{"model", "base"},
                                                          {"prompt", {3, 4}},
                                                          {"n", 2},
                                                          {"max_tokens", 3},
                                                          {"temperature", 0.5},
                                                          {"top_p", 1.0},
                                                          {"top_k", -1},
                                                          {"min_p", 0.0},
                                                          {"repetition_penalty", 1.0},
                                                          {"presence_penalty", 0.0},
                                                          {"frequency_penalty", 0.0},
                                                          {"seed", 77},
                                                          {"stop_token_ids", {9, 8}},
                                                          {"logprobs", 0},
                                                          {"return_token_ids", true},
                                                          {"return_tokens_as_token_ids", true},
                                                          {"stream", false}}));
  r.adapter = "a";
  BOOST_TEST(Json::parse(vllm::generate_body(r)).at("model") == "a");
  r.sampling.top_p = 0.9;
  BOOST_CHECK_THROW(vllm::check_sampling(r.sampling), Unsupported);
}

BOOST_AUTO_TEST_CASE(right_answers_are_read_in_order) {
  check_good(sglang::parse_group(good_sglang().dump(), request(), "server"));
  check_good(vllm::parse_group(good_vllm().dump(), request(), "server"));
  BOOST_TEST(sglang::parse_group(good_sglang().dump(), request(), "server").version == "v");
  // Alone, SGLang's answer is no array. A stop token at the limit ends a response, whatever the server calls it.
  const Json one = sglang_answer({1, 2, 9}, "length", "v");
  const DrawnGroup alone = sglang::parse_group(one.dump(), request(1), "server");
  BOOST_TEST((alone.responses.at(0).finish == Finish::stop));
  GroupRequest with_hidden = request(1);
  with_hidden.hidden_size = 2;
  BOOST_TEST(fault(sglang::parse_group, one.dump(), with_hidden) == "malformed");
  for (const Json& hidden : {Json{0.5, 1.5}, Json{{7.0, 7.0}, {0.5, 1.5}}, Json{{{7.0, 7.0}, {0.5, 1.5}}}}) {
    Json answer = one;
    answer["meta_info"]["hidden_states"] = hidden;
    const DrawnGroup group = sglang::parse_group(answer.dump(), with_hidden, "server");
    BOOST_TEST((group.responses[0].hidden == std::vector<float>{0.5f, 1.5f}));
  }
  for (const Json& hidden : {Json{0.5}, Json{0.5, nullptr}, Json{0.5, 1e60}, Json::array()}) {
    Json answer = one;
    answer["meta_info"]["hidden_states"] = hidden;
    BOOST_TEST(fault(sglang::parse_group, answer.dump(), with_hidden) == "malformed");
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_answer_of_sglang_is_refused_by_name) {
  using J = Json&;
  BOOST_TEST(sglang_fault([](J) {}) == "accepted");
  BOOST_TEST(sglang_fault([](J a) { a.push_back(a[0]); }) == "wrong_count");
  BOOST_TEST(sglang_fault([](J a) { a.erase(1); }) == "wrong_count");
  BOOST_TEST(sglang_fault([](J a) { a = Json(a[0]); }) == "wrong_count");
  BOOST_TEST(sglang_fault([](J a) { a[1]["meta_info"]["weight_version"] = "w"; }) == "wrong_version");
  BOOST_TEST(sglang_fault([](J a) { a[1]["meta_info"]["finish_reason"]["type"] = "abort"; }) == "truncated");
  BOOST_TEST(sglang_fault([](J a) { a[1]["meta_info"]["output_token_logprobs"].erase(2); }) == "truncated");
  BOOST_TEST(sglang_fault([](J a) { a[1]["meta_info"]["finish_reason"]["type"] = "stop"; }) == "truncated");
  BOOST_TEST(sglang_fault([](J a) { a[1]["meta_info"].erase("output_token_logprobs"); }) == "malformed");
  BOOST_TEST(sglang_fault([](J a) { a[1]["meta_info"]["output_token_logprobs"] = Json::array(); }) == "malformed");
  const auto token = [](const Json& value) {
    return sglang_fault([&](Json& a) { a[1]["meta_info"]["output_token_logprobs"][0] = value; });
  };
  BOOST_TEST(token({-1.0, 5, nullptr}) == "accepted");
  BOOST_TEST(token({-1.0, 5}) == "accepted");
  for (const Json& value : {Json{-1.0, 10}, Json{-1.0, -1}, Json{-1.0, 1.5}, Json{-1.0, "5"}, Json{0.1, 5},
                            Json{-9999.0, 5}, Json{nullptr, 5}, Json{-1.0}, Json(5), Json{-1.0, end_token}}) {
    BOOST_TEST(token(value) == "malformed", value.dump());
  }
  BOOST_TEST(fault(sglang::parse_group, good_sglang().dump().substr(0, 90)) == "malformed");
  BOOST_TEST(fault(sglang::parse_group, "") == "malformed");
  BOOST_TEST(fault(sglang::parse_group, "3") == "malformed");
  BOOST_CHECK_NO_THROW(sglang::check_done(R"({"success": true})", "server"));
  BOOST_CHECK_THROW(sglang::check_done(R"({"success": false, "message": "no room"})", "server"), BadAnswer);
  BOOST_CHECK_THROW(sglang::check_done("Success", "server"), BadFile);
}

BOOST_AUTO_TEST_CASE(what_is_no_answer_of_vllm_is_refused_by_name) {
  using J = Json&;
  BOOST_TEST(vllm_fault([](J) {}) == "accepted");
  BOOST_TEST(vllm_fault([](J a) { a["choices"].push_back(a["choices"][0]); }) == "wrong_count");
  BOOST_TEST(vllm_fault([](J a) { a["choices"].erase(1); }) == "wrong_count");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["index"] = 0; }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["finish_reason"] = "abort"; }) == "truncated");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["finish_reason"] = nullptr; }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["prompt_token_ids"] = {3, 5}; }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0].erase("prompt_token_ids"); }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["token_ids"].erase(0); }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) {
               a["choices"][0]["token_ids"].erase(2);
               a["choices"][0]["logprobs"]["token_logprobs"].erase(2);
             }) == "truncated");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["logprobs"] = nullptr; }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) { a["choices"][0]["logprobs"]["token_logprobs"][1] = nullptr; }) == "malformed");
  BOOST_TEST(vllm_fault([](J a) { a["choices"] = "none"; }) == "malformed");
  BOOST_TEST(fault(vllm::parse_group, good_vllm().dump().substr(0, 90)) == "malformed");
}

BOOST_AUTO_TEST_CASE(sampling_that_cannot_be_checked_is_refused) {
  Sampling sampling;
  BOOST_CHECK_NO_THROW(check_served(sampling));
  sampling.stop_texts = {"x"};
  BOOST_CHECK_THROW(check_served(sampling), Unsupported);
  sampling = {.repetition_penalty = 1.1};
  BOOST_CHECK_THROW(check_served(sampling), Unsupported);
  sampling = {.temperature = 0.0};
  BOOST_CHECK_THROW(check_served(sampling), BadArgument);
}

BOOST_AUTO_TEST_CASE(a_gap_above_its_bound_is_refused) {
  LogProbGap gap;
  check(gap, {});
  gap.add(std::vector<float>{-1.0f, -2.0f}, std::vector<float>{-1.5f, -2.0f});
  gap.add(std::vector<float>{-1.0f}, std::vector<float>{-0.75f});
  BOOST_TEST(gap.mean() == 0.25);
  BOOST_TEST(gap.max == 0.5);
  check(gap, {.mean = 0.25, .max = 0.5});
  check(gap, {.mean = 0.0});
  BOOST_CHECK_THROW(check(gap, {.mean = 0.24}), BadData);
  BOOST_CHECK_THROW(check(gap, {.mean = 0.0, .max = 0.49}), BadData);
  BOOST_CHECK_THROW(check(gap, {.mean = -1.0}), BadArgument);
  gap.sum = std::numeric_limits<double>::quiet_NaN();
  BOOST_CHECK_THROW(check(gap, {}), BadData);
}

BOOST_AUTO_TEST_SUITE_END()
