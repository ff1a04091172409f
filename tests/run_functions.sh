# Functions of run.sh. Sourced.

passed=0
failed=0

# One compile of a large unit wants about 1.5 GB: fewer jobs where memory is short.
job_count() {
  local processors memory
  processors=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)
  [ "$memory" -ge 1 ] || memory=1
  echo $((processors < memory ? processors : memory))
}

give_up() {
  echo "$1" >&2
  echo "$passed passed, $((failed + 1)) failed"
  exit 1
}

# The count of cases of one kind in a Boost report, 0 where the report is cut short.
reported() {
  local count
  count=$(sed -n "s/.*[ ]test_cases_$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -1)
  echo "${count:-0}"
}

# Adds the cases of one test to `passed` and `failed`: those of its Boost report, or one where there is none.
count_test() {
  local name=$1 status=$2 report=$3/reports/$1.xml good=0 bad=0
  if [ -s "$report" ]; then
    good=$(($(reported passed "$report") + $(reported passed_with_warnings "$report")))
    bad=$(reported failed "$report")
  elif [ "$status" = run ]; then
    good=1
  fi
  # A program that crashed, ran out of time or never started is one failure even where its report shows none.
  if [ "$status" != run ] && [ "$bad" -eq 0 ]; then bad=1; fi
  passed=$((passed + good))
  failed=$((failed + bad))
}

run_preset() {
  local preset=$1 build=${BUILD_DIR:-build/$1} start=$SECONDS jobs before=$failed code=0 name status chosen
  [ "${#presets[@]}" -eq 1 ] || build=${BUILD_DIR:+$BUILD_DIR/$preset}
  build=${build:-build/$preset}
  jobs=$(job_count)
  local architecture=()
  if [ "$preset" = test ] && chosen=$(device_architecture); then architecture=("-DCMAKE_CUDA_ARCHITECTURES=$chosen"); fi
  cmake --preset "$preset" -B "$build" "${architecture[@]}" || give_up "The preset $preset cannot be configured"
  build=$(cd "$build" && pwd)
  cmake --build "$build" -j "$jobs" || give_up "The build of the preset $preset failed"
  echo "Built $preset in $((SECONDS - start)) s"

  rm -f "$build"/reports/*.xml "$build/results.xml"
  local select=()
  if [ "$preset" != test ]; then select=(-L '^room$' -LE '^slow$'); fi
  ctest --test-dir "$build" -j "$(nproc)" --output-on-failure --output-junit results.xml "${select[@]}" || code=$?

  [ -s "$build/results.xml" ] || give_up "ctest left no results"
  while read -r name status; do
    case $status in
      notrun | disabled) echo "Skipped: $name" ;;
      *) count_test "$name" "$status" "$build" ;;
    esac
  done < <(sed -n 's/.*<testcase name="\([^"]*\)".*status="\([a-z]*\)".*/\1 \2/p' "$build/results.xml")
  if [ "$code" -ne 0 ] && [ "$failed" -eq "$before" ]; then failed=$((failed + 1)); fi
  echo "Tested $preset in $((SECONDS - start)) s with the build"
}
