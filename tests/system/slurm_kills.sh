#!/usr/bin/env bash
# slurmctld, slurmdbd, a slurmd and the node are killed and restarted, and the network to slurmctld swallows packets, at
# ten random points of 30 jobs: every job ends exactly once on the ledger, and no attempt of any ran its script twice.
#   UFAB_SEED=N repeats a run's choices.
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
freeze() { # the controller neither answers nor refuses: what a network without a route looks like
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
victims=(alpha/slurmctld slurmdbd alpha/an1 node network)
for ((i = 0; i < 10; i++)); do
  sleep "$((RANDOM % 3)).$((RANDOM % 10))"
  victim=${victims[i % 5]}
  echo "point $i: $victim, $(wc -l <"$state/ends") of $jobs scripts have ended"
  case $victim in
    node)
      kill -9 "$(node_pid alpha)"
      sleep "$((RANDOM % 3))"
      ufab alpha up >/dev/null
      ;;
    network) freeze "$((RANDOM % 6 + 2))" ;;
    *) away "$victim" ;;
  esac
done
while read -r job; do
  timeout 200 "$BIN/ufab" --home "$state/alpha" wait -q "$job" >/dev/null 2>&1 || true
done <"$state/submitted"

expect "all were acknowledged" equal "$(sort -u "$state/submitted" | wc -l)" $jobs
ledger() { sqlite3 "$state/alpha/chain/index.sqlite" "$1"; }
expect "every job is settled once on the ledger" equal "$(ledger "select count(*), count(distinct job) from settlement")" "$jobs|$jobs"
expect "no attempt started its script twice" equal "$(sort "$state/starts" | uniq -d)" ""
expect "every script came to its end" equal "$(sort -u "$state/ends" | wc -l)" $jobs
nobody_left() { [ -z "$(slurm_of alpha squeue -h)" ]; }
wait_until 60 nobody_left
ufab alpha audit verify >/dev/null
echo "$jobs jobs, 10 kills, $(wc -l <"$state/starts") starts: each ended once"
