/// @file
/// The device's part of the extension, on torch's current stream. It includes nothing of torch: nvcc takes long enough.

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "device_side.hpp"
#include "device_side_on.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

namespace maestro_torch {

namespace {

struct OnStream {
  using Executor = maestro::gpu::StreamExecutor;
  static Executor make(const DevicePlace& place) { return Executor(static_cast<cudaStream_t>(place.stream)); }
};

/// Calls f(std::integral_constant<std::size_t, rewards>) where the device path is compiled for that number.
template <class F>
bool with_rewards(std::size_t rewards, const F& f) {
  return [&]<std::size_t... k>(std::index_sequence<k...>) {
    return ((rewards == min_on_device + k && (f(std::integral_constant<std::size_t, min_on_device + k>{}), true)) ||
            ...);
  }
  (std::make_index_sequence<max_on_device - min_on_device + 1>{});
}

}  // namespace

std::unique_ptr<DeviceSide> make_device_side(std::size_t rewards, std::string_view conductor,
                                             const maestro::LearnedConductorOptions& options,
                                             const maestro::AnyScalarization& scalarization) {
  std::unique_ptr<DeviceSide> made;
  with_rewards(rewards, [&](auto k) { made = device_side_of<OnStream, k()>(conductor, options, scalarization); });
  return made;
}

bool device_advantages(const DevicePlace& place, std::size_t rewards, const maestro::AnyScalarization& scalarization,
                       const float* values, const float* weights, const maestro::Groups& groups, float* advantages) {
  bool done = false;
  with_rewards(rewards, [&](auto k) {
    auto executor = OnStream::make(place);
    done = advantages_on<k()>(executor, scalarization, values, weights, groups, advantages);
  });
  return done;
}

bool device_statistics(const DevicePlace& place, std::size_t rewards, const float* values,
                       const maestro::Groups& groups, float* mean, float* deviation) {
  return with_rewards(rewards, [&](auto k) {
    auto executor = OnStream::make(place);
    statistics_on<k()>(executor, values, groups, mean, deviation);
  });
}

}  // namespace maestro_torch
