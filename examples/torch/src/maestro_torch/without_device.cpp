/// @file
/// The extension without a device path: the host's serves every tensor.

#include <memory>
#include <string_view>

#include "device_side.hpp"

namespace maestro_torch {

std::unique_ptr<DeviceSide> make_device_side(std::size_t, std::string_view, const maestro::LearnedConductorOptions&,
                                             const maestro::AnyScalarization&) {
  return nullptr;
}
bool device_advantages(const DevicePlace&, std::size_t, const maestro::AnyScalarization&, const float*, const float*,
                       const maestro::Groups&, float*) {
  return false;
}
bool device_statistics(const DevicePlace&, std::size_t, const float*, const maestro::Groups&, float*, float*) {
  return false;
}

}  // namespace maestro_torch
