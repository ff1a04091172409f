#!/usr/bin/env bash
# What the headers and the example programs cost to compile: processor seconds of one compiler run, the median of
# several, and its largest resident memory, with g++ and clang++ (those that are there), at -O2 and as a syntax check at
# -O0. No ccache.
#   bench/compile_time.sh [--runs N] [--only REGEX] [--output FILE.json]
# Prints a markdown table; every single time and memory goes into FILE.json (runs/compile_time.json).
set -euo pipefail
cd "$(dirname "$0")/.."

runs=3
only=.
output=runs/compile_time.json
while [ $# -gt 0 ]; do
  case "$1" in
    --runs | --only | --output)
      [ $# -ge 2 ] || { echo "bench/compile_time.sh: $1 needs a value" >&2; exit 2; }
      declare "${1#--}=$2"
      shift 2 ;;
    --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) echo "bench/compile_time.sh: '$1' is unknown; see --help" >&2; exit 2 ;;
  esac
done
[[ $runs =~ ^[1-9][0-9]*$ ]] || { echo "bench/compile_time.sh: --runs must be a number above 0" >&2; exit 2; }

source cmake/packages.sh
install_packages $packages_build time

export CCACHE_DISABLE=1  # where the compiler's name leads to ccache

# The first name of each compiler that is there.
compilers=()
seen=
for name in ${CXX:-} g++ clang++ clang++-14; do
  path=$(readlink -f "$(command -v "$name" || true)")
  case "$path:$seen" in
    :*) ;;
    *":$path:"*) ;;
    *) compilers+=("$name") seen+=:$path: ;;
  esac
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What is compiled: lines of "name<tab>file".
includes() { printf '#include <%s>\n' "$2" >"$work/$1.cpp"; printf '%s\t%s\n' "$2" "$work/$1.cpp"; }
subjects() {
  printf '// nothing\n' >"$work/empty.cpp"
  printf 'an empty file\t%s\n' "$work/empty.cpp"
  includes eigen Eigen/Core
  includes json nlohmann/json.hpp
  includes all maestro/maestro.hpp
  local header
  for header in gemm/native gemm/eigen hub/model_files optimizer/optimizer objective/loss scalarization/any_scalarization \
    conductor/learned conductor/any model/transformer model/decoder model/lm_head policy/transformer_policy \
    reward/reward_set model/classifier trainer/trainer trainer/checkpoints; do
    includes "${header//\//_}" "maestro/$header.hpp"
  done
  for file in examples/*.cpp examples/*/main.cpp; do printf '%s\t%s\n' "$file" "$file"; done
}

# compile <compiler> <mode> <file>: prints its processor seconds and its largest resident memory in MiB.
compile() {
  local flags=(-std=c++20 -march=native -Iinclude -Iexamples $(pkg-config --cflags eigen3))
  case $2 in
    -O2) flags+=(-O2 -c -o "$work/object.o") ;;
    syntax) flags+=(-O0 -fsyntax-only) ;;
  esac
  if ! /usr/bin/time -f '%U %S %M' -o "$work/cost" "$1" "${flags[@]}" "$3" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    return 1
  fi
  awk '{ printf "%.2f %.0f", $1 + $2, $3 / 1024 }' "$work/cost"
}

median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

modes=(-O2 syntax)
header='| compiled |' rule='|---|'
for compiler in "${compilers[@]}"; do
  for mode in "${modes[@]}"; do
    header+=" $(basename "$compiler") $([ "$mode" = syntax ] && echo '-O0 -fsyntax-only' || echo "$mode") |"
    rule+='---|'
  done
done
echo "Processor seconds, median of $runs, and MiB of memory. $(for c in "${compilers[@]}"; do "$c" --version | head -1; done | paste -sd';')"
echo
echo "$header"
echo "$rule"

json=() status=0
while IFS=$'\t' read -r name file; do
  [[ $name =~ $only ]] || continue
  row="| $name |"
  for compiler in "${compilers[@]}"; do
    for mode in "${modes[@]}"; do
      seconds=() memory=()
      for ((i = 0; i < runs; ++i)); do
        cost=$(compile "$compiler" "$mode" "$file") || { status=1; break; }
        seconds+=("${cost% *}") memory+=("${cost#* }")
      done
      if [ ${#seconds[@]} -eq "$runs" ]; then
        row+=" $(median "${seconds[@]}") s, $(median "${memory[@]}") MiB |"
      else
        row+=' failed |'
      fi
      json+=("  {\"compiled\": \"$name\", \"compiler\": \"$(basename "$compiler")\", \"mode\": \"$mode\", \"seconds\": [$(IFS=,; echo "${seconds[*]}")], \"memory_mib\": [$(IFS=,; echo "${memory[*]}")]}")
    done
  done
  echo "$row"
done < <(subjects)

mkdir -p "$(dirname "$output")"
{ echo '['; (IFS=$'\n'; echo "${json[*]}") | sed '$!s/$/,/'; echo ']'; } >"$output"
exit $status
