#!/usr/bin/env bash
# check_components.sh <prefix> <work folder> <cmake> <compiler>
# find_package(maestro COMPONENTS ...) says what a component that is not there misses, by its name in Debian.
set -euo pipefail
prefix=$1 work=$2 cmake=$3 compiler=$4
rm -rf "$work"
mkdir -p "$work"
cat >"$work/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(components LANGUAGES CXX)
find_package(maestro REQUIRED COMPONENTS ${COMPONENTS})
END

# refused <text the message must hold> <components> [options...]
refused() {
  local text=$1 components=$2 message
  shift 2
  rm -rf "$work/build"
  if message=$("$cmake" -S "$work" -B "$work/build" -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix" \
      -DCOMPONENTS="$components" "$@" 2>&1); then
    echo "found, against expectation: $components"
    exit 1
  fi
  message=$(tr -s ' \n' ' ' <<<"$message")
  if [[ $message != *"$text"* ]]; then
    echo "the error for '$components' does not say '$text':"
    echo "$message"
    exit 1
  fi
}
refused "There is no component nonsense, only blas, tokenizers, http, mpi, cuda and nccl." nonsense
export PKG_CONFIG_LIBDIR=$work/nothing PKG_CONFIG_PATH=
refused "The component blas needs what was not found here: the pkg-config module openblas (Debian: libopenblas-dev)." blas
refused "the pkg-config module oniguruma (Debian: libonig-dev) and the pkg-config module libutf8proc (Debian: libutf8proc-dev)." \
  tokenizers
refused "the pkg-config module cpp-httplib (Debian: libcpp-httplib-dev) and the pkg-config module openssl (Debian: libssl-dev)." \
  http
refused "The component tokenizers needs what was not found here: pkg-config (Debian: pkg-config)" "blas;tokenizers" \
  -DCMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON
refused "the CUDA toolkit 12.0 or newer" cuda -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON
refused "NCCL (set NCCL_HOME to it)" nccl -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON
