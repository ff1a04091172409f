#!/usr/bin/env bash
# check_pkg_config.sh <prefix> <version> <work folder> <compiler>
# The installed maestro.pc holds wherever the installation is moved, and its flags are enough to build a program.
set -euo pipefail
prefix=$1 version=$2 work=$3 compiler=$4
command -v pkg-config >/dev/null || { echo "no pkg-config here"; exit 77; }
rm -rf "$work"
mkdir -p "$work"
cp -r "$prefix" "$work/moved"
export PKG_CONFIG_PATH=$work/moved/share/pkgconfig
if grep -F "$prefix" "$PKG_CONFIG_PATH/maestro.pc"; then
  echo "maestro.pc holds the path it was installed to"
  exit 1
fi
[ "$(pkg-config --modversion maestro)" = "$version" ] || { echo "maestro.pc is not of version $version"; exit 1; }
cat >"$work/main.cpp" <<'END'
#include <maestro/core/buffer.hpp>
#include <maestro/core/parallel.hpp>
#include <maestro/gemm/eigen.hpp>
#include <nlohmann/json.hpp>

int main() {
  maestro::Matrix<float> product(2, 2);
  const float ones[4] = {1, 1, 1, 1};
  const maestro::MatrixView<const float> a(ones, 2, 2);
  maestro::gemm<maestro::EigenBackend>(maestro::Transpose::no, maestro::Transpose::no, 1, a, a, 0, product.view());
  int visits[100] = {};
  maestro::parallel_for(100, [&](std::size_t i) { ++visits[i]; });
  for (const int v : visits) {
    if (v != 1) return 1;
  }
  return product(1, 1) == 2 ? 0 : 1;
}
END
# shellcheck disable=SC2046
"$compiler" -std=c++20 $(pkg-config --cflags maestro) "$work/main.cpp" -o "$work/main" $(pkg-config --libs maestro)
"$work/main"
