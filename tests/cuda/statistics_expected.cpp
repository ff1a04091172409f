#include <cmath>
#include <cstdint>
#include <vector>

#include "cuda/statistics_support.hpp"

namespace test {

Statistics expected(const Matrix<float>& rewards, const Groups& groups, int ddof, bool ranks) {
  const std::size_t count = rewards.cols();
  Statistics result(groups.count(), rewards.rows(), count);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    const std::size_t begin = groups.begin(g);
    const std::size_t size = groups.size(g);
    std::vector<double> means(count);
    for (std::size_t k = 0; k < count; ++k) {
      const auto get = [&](std::size_t j) { return rewards(begin + j, k); };
      const Moments moments = moments_of(size, get);
      const std::size_t to = g * count + k;
      means[k] = moments.mean;
      result.count[to] = static_cast<std::int32_t>(moments.count);
      result.mean[to] = moments.count > 0 ? static_cast<float>(moments.mean) : NAN;
      result.std_dev[to] = static_cast<float>(moments.std_dev(ddof));
      result.least[to] = result.largest[to] = NAN;
      for (std::size_t j = 0; j < size; ++j) {
        if (!(result.least[to] <= get(j)) && get(j) == get(j)) result.least[to] = get(j);
        if (!(result.largest[to] >= get(j)) && get(j) == get(j)) result.largest[to] = get(j);
        if (!ranks) continue;
        result.ranks[(begin + j) * count + k] =
            get(j) == get(j) ? unit_rank(mid_rank(size, j, get), static_cast<double>(moments.count)) : double(NAN);
      }
    }
    double degrees = -ddof;
    for (std::size_t j = 0; j < size; ++j) {
      bool any = false;
      for (const float reward : rewards.row(begin + j)) any = any || reward == reward;
      degrees += any ? 1.0 : 0.0;
    }
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t l = 0; l < count; ++l) {
        double sum = 0.0;
        for (std::size_t j = 0; j < size; ++j) {
          sum = multiply_add(present_or_zero(double{rewards(begin + j, k)} - means[k]),
                             present_or_zero(double{rewards(begin + j, l)} - means[l]), sum);
        }
        result.covariance[(g * count + k) * count + l] = static_cast<float>(degrees > 0.0 ? sum / degrees : 0.0);
      }
    }
  }
  return result;
}

}  // namespace test
