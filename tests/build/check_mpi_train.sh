#!/usr/bin/env bash
# check_mpi_train.sh <mpirun> <train> <folder>
# The program train on one rank and on two: the same rewards, the same resumed run, and what ends a job.
set -uo pipefail
mpirun=$1 train=$2 work=$3
flags=(--oversubscribe)
[ "$(id -u)" = 0 ] && flags+=(--allow-run-as-root)
"$mpirun" --version 2>/dev/null | grep -qE 'Open MPI|OpenRTE' || flags=()
command -v ssh >/dev/null || export OMPI_MCA_plm_rsh_agent=
export OMPI_MCA_mpi_yield_when_idle=1 MAESTRO_NUM_THREADS=1
if ! why=$(timeout 60 "$mpirun" "${flags[@]}" -n 2 true 2>&1); then
  echo "Skipped: $mpirun starts no processes here: $why"
  exit 77
fi
rm -rf "$work"
mkdir -p "$work"
options=(--prompts-per-step 4 --num-generations 4 --max-completion-length 24 --num-prompts 12 --conductor linear
  --rewards format,entropy,length --timings omit --save-steps 2 --report no --beta 0.01 --learning-rate 1e-3)

fail() {
  echo "$1"
  exit 1
}
# job <ranks> <folder> [options]: a run that must end well.
job() {
  timeout 300 "$mpirun" "${flags[@]}" -n "$1" "$train" "${options[@]}" --output "$work/$2" "${@:3}" >"$work/$2.log" 2>&1 ||
    fail "$1 ranks, $2: exit code $? with $(cat "$work/$2.log")"
}
same() { cmp "$work/$1" "$work/$2" || fail "$1 and $2 differ"; }

job 1 one --steps 1
job 2 two --steps 1
grep -q 'ranks of' "$work/two.log" || fail "the plan names no ranks: $(cat "$work/two.log")"
[ "$(grep -c 'step   ' "$work/two.log")" = 1 ] || fail "not rank 0 alone speaks: $(cat "$work/two.log")"
same one/samples.jsonl two/samples.jsonl # the same draws, rewards, weights and advantages

job 2 whole --steps 5
job 2 parts --steps 2
job 2 parts --steps 5 --shard-optimizer yes
for file in metrics.jsonl samples.jsonl model/model.safetensors; do same whole/$file parts/$file; done
job 1 parts --steps 6 # goes on with another number of ranks

# A rank that fails, by a file that it lacks, ends all with its number and message.
code=0
text=$(timeout 60 "$mpirun" "${flags[@]}" -n 1 "$train" "${options[@]}" --steps 9 --output "$work/bad" : \
  -n 1 "$train" "${options[@]}" --steps 9 --output "$work/bad" --model "$work/nothing" 2>&1) || code=$?
[ "$code" != 0 ] && [ "$code" != 124 ] || fail "a rank without its model: exit code $code"
[[ $text == *"rank 1 of 2: "*"$work/nothing"* ]] || fail "a rank without its model said: $text"

# A rank that is killed ends the job within ten seconds; the run goes on from its checkpoint to the same bytes.
timeout 300 "$mpirun" "${flags[@]}" -n 2 "$train" "${options[@]}" --steps 60 --output "$work/killed" \
  >"$work/killed.log" 2>&1 &
job_id=$!
for ((i = 0; i < 600; ++i)); do
  [ -e "$work/killed/checkpoints/step-00000002" ] && break
  sleep 0.1
done
ranks=$(pgrep -f -- "--output $work/killed" | while read -r id; do
  [ "$(readlink "/proc/$id/exe")" = "$(readlink -f "$train")" ] && echo "$id"
done)
victim=$(tail -n 1 <<<"$ranks")
kill -KILL "$victim" || fail "no rank to kill: $(cat "$work/killed.log")"
SECONDS=0
wait "$job_id" && fail "the job ended well without a rank"
[ "$SECONDS" -le 10 ] || fail "the job went on for $SECONDS s after a rank was killed"
steps=$(find "$work/killed/checkpoints" -name 'step-????????' | sort | tail -n 1)
steps=$((10#${steps##*-} + 3))
job 2 killed --steps "$steps"
job 2 undisturbed --steps "$steps"
for file in metrics.jsonl samples.jsonl model/model.safetensors; do same killed/$file undisturbed/$file; done
echo "train under mpirun: all as expected"
