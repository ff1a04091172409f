#pragma once

/// @file
/// A frozen copy of a policy, for the KL reference or as the proxy that rewards use.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/policy/policy.hpp"

namespace maestro {

/// Snapshot holds the parameters that a policy had at the last `synchronize`. It owns its copy, so the source may
/// change or be destroyed.
template <Policy P>
class Snapshot {
 public:
  explicit Snapshot(P policy) : policy_(std::move(policy)) {}

  /// Overwrites the values with those of `policy`. It allocates a list of views, but no parameters.
  /// @throws BadArgument naming the parameter that differs in name or size. Nothing is copied in this case.
  void synchronize(P& policy) {
    std::vector<std::pair<const void*, std::size_t>> sources;
    std::vector<std::string> names;
    policy.visit([&](auto parameter) {
      sources.emplace_back(parameter.values.data(), parameter.values.size());
      names.emplace_back(parameter.name);
    });
    std::size_t at = 0;
    policy_.visit([&](auto parameter) {
      if (at >= sources.size() || names[at] != parameter.name || sources[at].second != parameter.values.size()) {
        throw BadArgument("snapshot: parameter " + std::string(parameter.name) +
                          " differs from the policy's; both must have the same configuration");
      }
      ++at;
    });
    if (at != sources.size()) {
      throw BadArgument("snapshot: the policy has parameter " + names[at] + ", which the snapshot lacks");
    }
    at = 0;
    policy_.visit([&](auto parameter) {
      using T = typename decltype(parameter)::scalar_type;
      const std::span<const T> source(static_cast<const T*>(sources[at].first), sources[at].second);
      std::copy(source.begin(), source.end(), parameter.values.begin());
      ++at;
    });
  }

  /// Gives the log-probs of the frozen parameters; see Policy::log_probs.
  void log_probs(const Rollouts& rollouts, GroupRange range, std::span<float> out) const {
    policy_.log_probs(rollouts, range, out);
  }

  const P& policy() const { return policy_; }
  /// Visits the parameters by name.
  template <class Visitor>
  void visit_state(Visitor& v) {
    ParameterValues<P>{policy_}.visit_state(v);
  }

 private:
  P policy_;
};

}  // namespace maestro
