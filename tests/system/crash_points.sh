#!/usr/bin/env bash
# kill -9 of the node at each of its writes in turn, from start to a settled job: nothing acknowledged is lost, and a
# submission that is retried with its key runs once. One home is validator, owner and provider, so that every
# kind of write is in one process. CRASH_POINTS limits how many points are tried (0: until none is left).
source "$(dirname "$0")/lib.sh"
limit=${CRASH_POINTS:-0}
homes=(solo)
ufab solo init --solo --org solo --chain-name test --block-interval-ms 60000 >/dev/null
ufab solo up >/dev/null
ufab solo account stake 200 >/dev/null
ufab solo provider init --slots 1 --memory 1024 >/dev/null
echo '{"schema":"ufab.provider-bench/1","mflops":1000,"tokens_per_s":1,"backend":"test","threads":1}' >"$state/solo/speed.json"
ufab solo provider enroll >/dev/null
mkdir "$state/work"
cd "$state/work"
printf '#!/bin/sh\n#SBATCH --output=out-%%j\necho ran >>%s/ran-$SLURM_JOB_ID\n' "$state" >once.sh
ufab solo down >/dev/null

point=1
crashes=0
while [ "$limit" -eq 0 ] || [ $point -le "$limit" ]; do
  UFAB_CRASH_AT=$point ufab solo up >/dev/null 2>&1 || true
  acknowledged=$(ufab solo submit --parsable --idempotency-key="point-$point" once.sh 2>/dev/null) || acknowledged=
  # Until the job has ended or the node has died.
  while [ -n "$acknowledged" ] && shown=$(ufab solo show "$acknowledged" --json 2>/dev/null); do
    if [ "$(field finished <<<"$shown")" = true ]; then break; fi
    sleep 0.05
  done
  died=yes
  if ufab solo status >/dev/null 2>&1; then died=no; fi
  if [ $died = yes ]; then
    crashes=$((crashes + 1))
    ufab solo up >/dev/null
  fi
  job=$(ufab solo submit --parsable --idempotency-key="point-$point" once.sh)
  if [ -n "$acknowledged" ]; then expect "point $point: the acknowledged job is still there" equal "$job" "$acknowledged"; fi
  expect "point $point: it is the only one with its key" equal "$job" "$point"
  ufab solo wait -q "$job" || fail "point $point: job $job did not complete"
  ufab solo audit verify >/dev/null
  ufab solo down >/dev/null
  if [ $died = no ]; then break; fi
  point=$((point + 1))
done
[ "$limit" -ne 0 ] || [ $crashes -gt 20 ] || fail "only $crashes crash points were hit"
echo "crash points: the node was killed at $crashes of its writes, every job ran to its end"
