# Sourced by the run scripts: installs Debian packages by name, as root or with sudo.

# What our programs are built with.
packages_build="g++ cmake ninja-build ccache pkg-config libeigen3-dev nlohmann-json3-dev libcxxopts-dev
libonig-dev libutf8proc-dev libcpp-httplib-dev libssl-dev"
# What the tests need beside that.
packages_tests="libboost-test-dev libopenblas-openmp-dev libopenmpi-dev openmpi-bin"
# What the benchmarks need beside that: Google Benchmark, Python for their driver and their peers, its headers for
# torch.compile.
packages_bench="libbenchmark-dev python3 python3-venv python3-dev libopenblas-openmp-dev"
# What the documentation is written with.
packages_docs="doxygen"

install_packages() {
  local missing= package sudo=
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "Needed, and no apt-get here to install it:$missing (names of Debian packages)" >&2
    return 1
  fi
  [ "$(id -u)" = 0 ] || sudo=sudo
  echo "Installing:$missing"
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
