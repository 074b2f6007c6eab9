#!/usr/bin/env bash
# slurmctld, slurmdbd, a slurmd and the node are killed and restarted, and the network between all of them is cut, at
# ten random points of 30 jobs: every job ends exactly once on the ledger, and no attempt of any ran its script twice.
#   UFAB_SEED=N repeats a run's choices.
# Everything runs in a network namespace of the test's own, whose loopback can be taken away. Where that is not allowed
# slurmctld is stopped instead: it neither answers nor refuses.
if [ "${UFAB_KILLS_INSIDE-}" = "" ] && unshare -n true 2>/dev/null && command -v ip >/dev/null; then
  UFAB_KILLS_INSIDE=1 exec unshare -n "$0" "$@"
fi
if [ -n "${UFAB_KILLS_INSIDE-}" ]; then
  ip link set lo up
  # With loopback as the only interface the C library finds no address for any name.
  ip link add pair0 type veth peer name pair1
  ip address add 192.0.2.1/24 dev pair0
  ip link set pair0 up
  ip link set pair1 up
fi
source "$(dirname "$0")/slurm_lib.sh"
seed=${UFAB_SEED:-$RANDOM}
RANDOM=$seed
echo "seed $seed"
start_slurm_federation alpha
jobs=30
cat >work.sh <<EOS
#!/bin/bash
#SBATCH --ntasks=1 --time=5 --output=/dev/null
echo "\$UFAB_JOB_ID \$UFAB_ATTEMPT" >>"$state/starts"
sleep "\$1"
echo "\$UFAB_JOB_ID" >>"$state/ends"
EOS
touch "$state/starts" "$state/ends"
for ((i = 0; i < jobs; i++)); do
  ufab alpha submit --parsable work.sh "$((RANDOM % 6)).$((RANDOM % 10))" >>"$state/submitted"
done

# kill -9 of a node's daemon, by the id that it wrote.
node_pid() { pgrep -f "ufabd --home $state/$1\$"; }
cut_network() { # cut_network SECONDS
  if [ -n "${UFAB_KILLS_INSIDE-}" ]; then
    ip link set lo down
    sleep "$1"
    ip link set lo up
    return
  fi
  local pid
  read -r pid _ <"$slurm/alpha/pid/slurmctld"
  kill -STOP "$pid"
  sleep "$1"
  kill -CONT "$pid"
}
away() { # away DAEMON: killed, and back after a random pause
  clusters kill "$1"
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  clusters start "$1"
}
# A slurmctld that was killed gives ids away again, and drains a node on which it then finds one twice. That is for an
# administrator to look at, and here is one who resumes it.
administrator() {
  local node
  while sleep 5 && [ -d "$state" ]; do
    for node in $(timeout 20 env SLURM_CONF="$slurm/alpha/slurm.conf" sinfo -h -N -t drained,draining -o %N 2>/dev/null); do
      echo "the administrator resumes $node"
      timeout 20 env SLURM_CONF="$slurm/alpha/slurm.conf" scontrol update nodename="$node" state=resume 2>/dev/null || true
    done
  done
}
administrator &
administrator=$!
victims=(alpha/slurmctld slurmdbd alpha/an1 node network)
# A point each time three more scripts have ended, or a quarter of a minute has passed: over the whole of their lives.
ended() { wc -l <"$state/ends"; }
for ((i = 0; i < 10; i++)); do
  for ((tenths = 0; tenths < 150; tenths++)); do
    [ "$(ended)" -lt $((3 * i)) ] || break
    sleep 0.1
  done
  sleep "$((RANDOM % 2)).$((RANDOM % 10))"
  victim=${victims[i % 5]}
  echo "point $i: $victim, $(ended) of $jobs scripts have ended"
  case $victim in
    node)
      kill -9 "$(node_pid alpha)"
      sleep "$((RANDOM % 3))"
      ufab alpha up >/dev/null
      ;;
    network) cut_network "$((RANDOM % 6 + 2))" ;;
    *) away "$victim" ;;
  esac
done
while read -r job; do
  timeout 200 "$BIN/ufab" --home "$state/alpha" wait -q "$job" >/dev/null 2>&1 || true
done <"$state/submitted"

kill "$administrator"
expect "all were acknowledged" equal "$(sort -u "$state/submitted" | wc -l)" $jobs
ledger() { sqlite3 "$state/alpha/chain/index.sqlite" "$1"; }
settled() { ledger "select count(*), count(distinct job) from settlement"; }
all_settled() { [ "$(settled)" = "$jobs|$jobs" ]; }
wait_until 30 all_settled  # the index is written a moment after the log
expect "every job is settled once on the ledger" equal "$(settled)" "$jobs|$jobs"
expect "no attempt started its script twice" equal "$(sort "$state/starts" | uniq -d)" ""
expect "every script came to its end" equal "$(sort -u "$state/ends" | wc -l)" $jobs
nobody_left() { [ -z "$(slurm_of alpha squeue -h)" ]; }
wait_until 60 nobody_left
ufab alpha audit verify >/dev/null
echo "$jobs jobs, 10 kills, $(wc -l <"$state/starts") starts: each ended once"
