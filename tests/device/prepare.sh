# Functions of device.sh's prepare. Sourced.
source cmake/architecture.sh
source cmake/packages.sh

needs=build/device-needs
largest_megabytes=40
packages_headers="libeigen3-dev nlohmann-json3-dev libcxxopts-dev"

prepare() {
  install_packages $packages_build $packages_tests python3
  rm -rf "$needs"
  mkdir -p "$needs"
  collect_packages
  collect_boost
  note_commit
  check_size
  check_build
}

# Headers and CMake's package files of whole Debian packages, at their places below /usr and of their age, so that a
# second time compiles nothing again.
collect_packages() {
  local file
  dpkg -L $packages_headers | grep -E '^/usr/(include/|(share|lib)/.*cmake)' | grep -v /unsupported/ |
    while read -r file; do
      if [ -f "$file" ]; then (cd /usr && cp --parents -pL "${file#/usr/}" "$OLDPWD/$needs"); fi
    done
}

# Of Boost what the tests include, by any of the compilers that read them, and what it includes in turn. Whole are the
# folders in which other compilers' versions may choose another file.
collect_boost() {
  local folder source=$needs/includes.cpp
  folder=$(boost_folder)
  {
    echo '#include <boost/test/included/unit_test.hpp>'
    grep -rhoE '^ *# *include *<boost/[^>]*>' tests --include='*.hpp' --include='*.cpp' --include='*.cu' | sort -u
  } >"$source"
  {
    g++ -std=c++20 -M "$source"
    if command -v nvcc >/dev/null; then nvcc -std=c++20 -x cu -M "$source"; fi
    if command -v clang++-14 >/dev/null; then clang++-14 -std=c++20 -M "$source"; fi
    find "$folder/boost/test" "$folder/boost/config" "$folder/boost/preprocessor" -name '*.hpp'
  } | tr ' \\' '\n\n' | sed -n "s#^$folder/\(boost/.*\)#\1#p" | sort -u >"$needs/boost.list"
  mkdir -p "$needs/include"
  (cd "$folder" && xargs cp --parents -pL -t "$OLDPWD/$needs/include") <"$needs/boost.list"
  rm "$source" "$needs/boost.list"
}

# Where the installed Boost is, as the compiler finds it.
boost_folder() {
  echo '#include <boost/version.hpp>' | g++ -x c++ -M - | tr ' \\' '\n\n' | sed -n 's#^\(/.*\)/boost/version.hpp$#\1#p'
}

# A copy of the tree may come without git.
note_commit() {
  local commit
  commit=$(git rev-parse HEAD 2>/dev/null) || return 0
  if [ -n "$(git status --porcelain)" ]; then commit="$commit, modified,"; fi
  echo "$commit" >"$needs/commit"
}

check_size() {
  local kilobytes
  kilobytes=$(du -sk --apparent-size "$needs" | cut -f1)
  echo "$needs: $((kilobytes / 1024)).$((kilobytes % 1024 * 10 / 1024)) MB in $(find "$needs" -type f | wc -l) files"
  if [ "$kilobytes" -gt $((largest_megabytes * 1024)) ]; then
    echo "That is more than $largest_megabytes MB" >&2
    return 1
  fi
}

# Compiles everything for sm_90, and for the device that is here where there is another; then looks into what the
# compilers have read.
check_build() {
  local build=${BUILD_DIR:-build/device} native
  native=$(CUDAARCHS='' device_architecture || true)
  build_for 90-real
  case "$native" in
    '') echo "native: no device here; on a machine where none says what it is, it is compiled for sm_90 (with PTX)" ;;
    90-real) echo "native: the device here is an sm_90" ;;
    *) build_for "$native" ;;
  esac
  check_reads "$build"
}

build_for() {
  local start=$SECONDS output=build/device-prepare
  CUDAARCHS=$1 bash tests/device.sh run build --dry --output "$output" >/dev/null || {
    tail -n 20 "$output/summary.txt" >&2
    return 1
  }
  sed -n '/^build, slowest/,/^$/p' "$output/summary.txt"
  echo "Compiled for $1 in $((SECONDS - start)) s"
}

# No header of what is collected may come from elsewhere.
check_reads() {
  local read
  read=$(ninja -C "$1" -t deps | sed 's/^ *//' | grep -E '/(Eigen|boost|nlohmann)/|/cxxopts[.]hpp$' | sort -u || true)
  if [ -z "$read" ]; then
    echo "The build has not noted what it read" >&2
    return 1
  fi
  if grep -v "/$needs/" <<<"$read" >&2; then
    echo "The headers above were read from outside of $needs" >&2
    return 1
  fi
  echo "$(wc -l <<<"$read") headers of Eigen, Boost, nlohmann-json and cxxopts were read, all from $needs"
}
