#!/usr/bin/env bash
# House rules that a script can check: format, includes, machine paths, and that no training code reaches the judge.
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
complain() { echo "$1"; status=1; }

# What is in the repository; in an unpacked archive, all there is.
list() {
  if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    git ls-files -- "$@" | while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done
  else
    find include examples tests cmake bench CMakeLists.txt -type f 2>/dev/null | grep -E "$(printf '%s\n' "$@" |
      sed 's/[.]/[.]/g; s/[*]/.*/g; s/$/$/' | paste -sd'|')"
  fi
}
mapfile -t sources < <(list '*.hpp' '*.cpp' '*.cuh' '*.cu')

if command -v clang-format-14 >/dev/null; then
  clang-format-14 --dry-run -Werror "${sources[@]}" || complain "clang-format-14 -i would change the files above"
else
  echo "Skipped: the format, no clang-format-14 here"
fi

# refuse <message> <regex> <files>: no file may have a line that matches.
refuse() {
  local message=$1 regex=$2
  shift 2
  [ $# -eq 0 ] || ! grep -nE -- "$regex" "$@" || complain "$message"
}
headers=() not_io=() not_gemm=() not_judge=() tasks=()
for file in "${sources[@]}"; do
  case $file in include/*) headers+=("$file") ;; esac
  case $file in include/maestro/io/* | include/maestro/hub/*) ;; include/*) not_io+=("$file") ;; esac
  case $file in include/maestro/gemm/eigen.hpp) ;; include/*) not_gemm+=("$file") ;; esac
  case $file in
    examples/judge/* | examples/evaluation/*) ;;
    include/* | examples/*) not_judge+=("$file") ;;
  esac
  case $file in include/* | examples/tasks/* | examples/common/*) tasks+=("$file") ;; esac
done
refuse "these includes stay out of headers" '^ *# *include *<(iostream|regex)>' "${headers[@]}"
refuse "only headers in io/ and hub/ include nlohmann_json" '^ *# *include *<nlohmann/' "${not_io[@]}"
refuse "only gemm/eigen.hpp includes Eigen" '^ *# *include *[<"]Eigen/' "${not_gemm[@]}"
refuse "no Eigen macro is set by us" '^ *# *define +EIGEN_' "${headers[@]}"
refuse "only examples/evaluation/ includes the judge" '^ *# *include *[<"].*judge/' "${not_judge[@]}"
refuse "training data and rewards must not see the evaluation" '^ *# *include *[<"].*evaluation/' "${tasks[@]}"
for file in "${headers[@]}"; do
  grep -q '^#pragma once$' "$file" || complain "$file has no #pragma once"
done

mapfile -t texts < <(list '*.hpp' '*.cpp' '*.cuh' '*.cu' '*.sh' '*.py' '*.cmake' '*.txt' '*.md' '*.json' '*.jsonl')
refuse "paths of one machine" '(^|[^A-Za-z0-9_.~*-])/(work|home|root|opt)/[a-z]' "${texts[@]}"
exit $status
