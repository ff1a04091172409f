#pragma once

/// @file
/// The reward side on data that lies on a device. Neither torch nor CUDA is needed to include this.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/io/state.hpp"
#include "maestro/scalarization/any_scalarization.hpp"

namespace maestro_torch {

/// A stream of a device.
struct DevicePlace {
  int device = 0;
  void* stream = nullptr;  ///< a cudaStream_t
  bool operator==(const DevicePlace&) const = default;
};

/// What a step reads. Pointers are the device's memory, the rest the host's.
struct DeviceInput {
  const float* hidden = nullptr;          ///< (B x d)
  std::size_t hidden_size = 0;            ///< d
  const float* rewards = nullptr;         ///< (B x K), NaN where a reward does not apply
  const maestro::Groups& groups;          ///< of the B rows
  std::span<const std::int64_t> prompts;  ///< (N) keys of the draws
  std::span<const std::int32_t> lengths;  ///< (B), or empty
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
};

/// Where a step writes, in the device's memory.
struct DeviceOutput {
  float* advantages = nullptr;      ///< (B)
  float* scalar_rewards = nullptr;  ///< (B)
  float* weights = nullptr;         ///< (B x K)
};

/// What comes back to the host, for the figures that are logged: numbers per response, not per hidden state.
struct StepFigures {
  maestro::Decision decision;
  maestro::Matrix<float> rewards;  ///< (B x K)
  std::vector<float> advantages;   ///< (B)
  std::optional<maestro::ConductorReport> update;
};

/// A learned Conductor and a scalarization for K rewards that live on a device. At another place than the last one's it
/// moves there with its state.
class DeviceSide {
 public:
  virtual ~DeviceSide() = default;
  /// Decides, scalarizes, learns, and waits for the figures.
  /// @throws BadData naming what a kernel found; the Conductor has then not learned from the step.
  virtual void step(const DevicePlace& place, const DeviceInput& in, const DeviceOutput& out, StepFigures& report) = 0;
  /// Writes the weights (rows x K) without a draw.
  virtual void weights(const DevicePlace& place, const float* hidden, std::size_t rows, std::size_t hidden_size,
                       float* out) = 0;
  /// The state has the names that the host's Conductor gives it.
  virtual void visit(maestro::StateWriter& writer) = 0;
  virtual void visit(maestro::StateReader& reader) = 0;
};

/// Numbers of rewards that the device path is compiled for.
inline constexpr std::size_t min_on_device = 2;
inline constexpr std::size_t max_on_device = 5;

/// Makes the device's form of a Conductor chosen by name; null if there is none: another Conductor, another number
/// of rewards.
/// @throws BadArgument naming an option outside its domain.
std::unique_ptr<DeviceSide> make_device_side(std::size_t rewards, std::string_view conductor,
                                             const maestro::LearnedConductorOptions& options,
                                             const maestro::AnyScalarization& scalarization);

/// Enqueues advantages (B) of weights (B x K), waits, and says true; false, with nothing done, where the estimator or
/// the number of rewards is not compiled for the device.
bool device_advantages(const DevicePlace& place, std::size_t rewards, const maestro::AnyScalarization& scalarization,
                       const float* values, const float* weights, const maestro::Groups& groups, float* advantages);

/// Mean and standard deviation (ddof 1) of every group's rewards, both (N x K); false as device_advantages().
bool device_statistics(const DevicePlace& place, std::size_t rewards, const float* values,
                       const maestro::Groups& groups, float* mean, float* deviation);

}  // namespace maestro_torch
