#!/usr/bin/env bash
# Submitting 2,000 held jobs (UFAB_SUBMIT_JOBS for another number), one process each, to a node with 2,000 fresh jobs
# in the end, and as many to a real slurmctld by sbatch: rounds of each by turns, and of /bin/true, which is what
# starting a process costs here. Ours are durable when they are acknowledged; slurmctld saves its state later.
set -euo pipefail
BIN=@CMAKE_RUNTIME_OUTPUT_DIRECTORY@
source "@CMAKE_SOURCE_DIR@/tests/system/slurm_lib.sh"
jobs=${UFAB_SUBMIT_JOBS:-2000}
rounds=20
each=$((jobs / rounds))
cd "$state"
clusters up --clusters 1 --nodes 1 >/dev/null
export SLURM_CONF=$slurm/alpha/slurm.conf

homes+=(owner)
"$BIN/ufab" --home "$state/owner" init --org owner --solo >/dev/null
ufab owner up >/dev/null
ufab owner account stake 200 >/dev/null
ufab owner provider init --slots 2 --memory 1024 >/dev/null
echo '{"schema":"ufab.provider-bench/1","mflops":10000,"tokens_per_s":1,"backend":"test","threads":2}' >owner/speed.json
ufab owner provider enroll >/dev/null
export UFAB_HOME=$state/owner
printf '#!/bin/bash\n#SBATCH --hold --time=5\ntrue\n' >held.sh

round() { # round COMMAND…: milliseconds for each of `each`
  local begin i
  begin=$(date +%s%N)
  for ((i = 0; i < each; i++)); do "$@" >/dev/null; done
  echo $((($(date +%s%N) - begin) / 1000 / each))
}
for ((r = 0; r < rounds; r++)); do
  round "$BIN/ufab" submit --parsable held.sh >>ours
  sleep 2  # the node makes the jobs' folders in the lull after a burst, and them durable: not in sbatch's time
  round sbatch --parsable held.sh >>theirs
  round /bin/true >>start
done
[ "$(ufab owner queue --json | grep -o '"job":[0-9]*' | wc -l)" -ge "$jobs" ]
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { printf "%.3f", v[int((NR + 1) / 2)] / 1000 }'; }
awk -v jobs="$jobs" -v ours="$(median ours)" -v peer="$(median theirs)" -v start="$(median start)" 'BEGIN {
  printf "{\"group\":\"submit\",\"name\":\"a held job of %d, one process each, median of 20 rounds\",\"ours\":%s,\"peer\":%s,\"peer_name\":\"sbatch\",\"unit\":\"ms\",\"ratio\":%.4f,\"aim\":0.3333,\"met\":%s}\n",
    jobs, ours, peer, ours / peer, 3 * ours <= peer ? "true" : "false"
  printf "{\"group\":\"submit\",\"name\":\"starting /bin/true beside them\",\"ours\":%s,\"peer\":null,\"unit\":\"ms\",\"ratio\":null,\"aim\":null,\"met\":null}\n", start }'
