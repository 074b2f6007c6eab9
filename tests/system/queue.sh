#!/usr/bin/env bash
# The queue of a node: what waits says why, capacity is not oversubscribed, backfill, holds, own limits, and a node
# that is killed goes on where it was.
source "$(dirname "$0")/lib.sh"
start_federation alpha

printf '#!/bin/sh\n#SBATCH -o %%j.out\ntouch started-$SLURM_JOB_ID; while [ ! -e go ]; do sleep 0.1; done\n' >gate.sh
printf '#!/bin/sh\n#SBATCH -o %%j.out\necho ran >>ran-$SLURM_JOB_ID\n' >quick.sh
reason() { job_field alpha "$1" reason; }
reason_is() { [ "$(reason "$1")" = "$2" ]; }
is_running() { [ "$(job_field alpha "$1" run)" = running ]; }

first=$(ufab alpha submit --parsable -n 1 -t 60 gate.sh)
wait_until 15 is_running "$first"
wide=$(ufab alpha submit --parsable -n 2 -t 5 quick.sh)
wait_until 10 reason_is "$wide" Resources
long=$(ufab alpha submit --parsable -n 1 -t 90 gate.sh)
held=$(ufab alpha submit --parsable --hold quick.sh)
short=$(ufab alpha submit --parsable -n 1 -t 5 quick.sh)
ufab alpha wait -q "$short"
expect "a short job is backfilled before a wide one that waits" [ -e "ran-$short" ]
expect "a long one is not: it would be in its way" [ ! -e "started-$long" ]
wait_until 10 reason_is "$long" Resources
expect "the wide one still waits for both processors" reason_is "$wide" Resources
expect "a held job says so" reason_is "$held" JobHeldUser
expect "the listing has it in columns" contains "$(ufab alpha queue --parsable)" "$held|quick.sh|alpha|PENDING|0|0||JobHeldUser"
expect "and for people" contains "$(ufab alpha queue | tr -s ' ')" " $wide quick.sh alpha PD Resources"
expect "and as JSON, one schema an object" contains "$(ufab alpha queue --json)" '"schema":"ufab.queue/1","jobs":[{"schema":"ufab.job/1"'
expect "every job is listed once" equal "$(ufab alpha queue --parsable | tail -n +2 | wc -l)" 4
expect "the node counts what waits" equal "$(ufab alpha status --json | field waiting)" 3

kill -KILL "$(pgrep -f -- "ufabd --home $state/alpha\$")"
ufab alpha up >/dev/null
wait_until 15 reason_is "$wide" Resources
wait_until 15 reason_is "$long" Resources
wait_until 15 reason_is "$held" JobHeldUser
expect "the long one has not started" [ ! -e "started-$long" ]

touch go
for job in "$first" "$wide" "$long"; do ufab alpha wait -q "$job"; done
ufab alpha release "$held" >/dev/null
ufab alpha wait -q "$held"
for job in "$wide" "$held" "$short"; do expect "job $job ran once" equal "$(cat "ran-$job")" ran; done

# The organisation's own limits.
rm go
ufab alpha down >/dev/null
printf '\n[queue]\njobs_max = 1\n' >>"$state/alpha/config.toml"
ufab alpha up >/dev/null
first=$(ufab alpha submit --parsable gate.sh)
wait_until 15 is_running "$first"
second=$(ufab alpha submit --parsable quick.sh)
wait_until 10 reason_is "$second" AssocGrpJobsLimit
touch go
ufab alpha wait -q "$second"

# A provider that drains.
ufab alpha provider drain >/dev/null
status=0; out=$(ufab alpha submit quick.sh 2>&1) || status=$?
expect "no job is taken that nobody can run now" equal "$status" 1
expect "and the refusal names the provider" contains "$out" "alpha accepts no work now"
