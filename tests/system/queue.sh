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

# A burst makes no files, and a node that is killed in it has every job that it acknowledged.
before=$(ls "$state/alpha/jobs" | wc -l)
burst=()
for i in $(seq 20); do burst+=("$(ufab alpha submit --parsable --hold -J "burst-$i" quick.sh)"); done
said=$(date +%s%N)
kill -KILL "$(pgrep -f -- "ufabd --home $state/alpha\$")"
if [ $(($(date +%s%N) - said)) -lt 150000000 ]; then  # else the burst was over before it was killed
  expect "files are made after the burst" [ "$(ls "$state/alpha/jobs" | wc -l)" -lt $((before + 20)) ]
fi
ufab alpha up >/dev/null
for i in 1 20; do
  expect "job ${burst[i - 1]} is there" equal "$(job_field alpha "${burst[i - 1]}" name)" "burst-$i"
  wait_until 10 reason_is "${burst[i - 1]}" JobHeldUser
done
expect "with its script" cmp quick.sh "$state/alpha/jobs/${burst[19]}/script"
ufab alpha release "${burst[19]}" >/dev/null
ufab alpha wait -q "${burst[19]}"
expect "it runs" equal "$(cat "ran-${burst[19]}")" ran
for job in "${burst[@]:0:19}"; do ufab alpha cancel "$job" >/dev/null; done
expect "an organisation's own jobs are never another's to clear away" [ -z "$(compgen -G "$state/alpha/jobs/*/foreign")" ]

# Dependencies of all kinds, arrays and times.
rm -f go started-*
printf '#!/bin/sh\n#SBATCH -o %%j.out\nexit 3\n' >bad.sh
printf '#!/bin/sh\n#SBATCH -o task-%%A-%%a.out\necho "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT"; [ "$SLURM_ARRAY_TASK_ID" != 2 ]\n' >array.sh
submit() { ufab alpha submit --parsable "$@"; }
gate=$(submit -n 1 -t 30 gate.sh)
wait_until 15 is_running "$gate"
ok=$(submit -d "afterok:$gate" quick.sh)
any=$(submit -d "afterany:$gate" quick.sh)
begun=$(submit -d "after:$gate" quick.sh)
not_ok=$(submit -d "afternotok:$gate" quick.sh)
either=$(submit -d "afternotok:$gate?afterok:$gate" quick.sh)
killed=$(submit -d "afternotok:$gate" --kill-on-invalid-dep=yes quick.sh)
later=$(submit --begin=now+1hour quick.sh)
ufab alpha wait -q "$begun"
for job in "$ok" "$any" "$not_ok" "$either"; do expect "$job waits for $gate" reason_is "$job" Dependency; done
expect "a begin time is waited for" reason_is "$later" BeginTime
touch go
for job in "$gate" "$ok" "$any" "$either"; do ufab alpha wait -q "$job"; done
wait_until 10 reason_is "$not_ok" DependencyNeverSatisfied
status=0; ufab alpha wait -q "$killed" || status=$?
expect "what can never start ends, if it was asked for" equal "$status" 1
expect "and says why" contains "$(ufab alpha show "$killed")" DependencyNeverSatisfied
bad=$(submit bad.sh)
after_bad=$(submit -d "afternotok:$bad" quick.sh)
ufab alpha wait -q "$after_bad"

rm go
array=$(submit --array=1-4%1 array.sh)
pairs=$(submit --array=1-4 -d "aftercorr:$array" array.sh)
whole=$(submit -d "afterany:$array" quick.sh)
ufab alpha wait -q "$whole"
for task in 1 2 3 4; do expect "task $task ran as itself" equal "$(cat "task-$array-$task.out")" "$task of 4"; done
expect "the tasks ran one at a time" equal "$(ls task-"$array"-*.out | wc -l)" 4
for task in 1 3 4; do wait_until 20 [ -s "task-$pairs-$task.out" ]; done
never() { contains "$(ufab alpha queue --parsable)" "${pairs}_2|array.sh|alpha|PENDING|0|0||DependencyNeverSatisfied"; }
wait_until 10 never
expect "the pair of the failed task did not run" [ ! -e "task-$pairs-2.out" ]

busy=$(submit -n 2 -t 5 gate.sh)
wait_until 15 is_running "$busy"
late=$(submit -t 1 --deadline=now+2minutes quick.sh)
throttled=$(submit --array=1-3%1 -n 1 -t 1 array.sh)
first=$(submit -J only -n 1 -t 30 -d singleton quick.sh)
second=$(submit -J only -n 1 -t 30 -d singleton quick.sh)
wait_until 10 reason_is "$second" Dependency
expect "the first of a name only waits for processors" [ "$(reason "$first")" != Dependency ]
touch go
ufab alpha wait -q "$second"
ufab alpha wait -q "$late"
status=0; ufab alpha wait -q "$throttled" || status=$?
expect "an array with a task that failed has failed" equal "$status" 1
expect "a singleton came after the first of its name" [ "ran-$second" -nt "ran-$first" ]
for job in "$not_ok" "$later"; do ufab alpha cancel "$job" >/dev/null; done

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

# The replay of a trace, against first come, first served and EASY.
awk 'BEGIN { srand(1); print "; MaxProcs: 64"; t = 0
  for (i = 1; i <= 2000; i++) { t += int(rand() * 120); r = 1 + int(exp(rand() * 8)); p = 2 ^ int(rand() * 7)
    print i, t, -1, r, p, -1, -1, p, r * 3, -1, 1, 1 + i % 20, 1 + i % 3, 1 + i % 7, -1, -1, -1, -1 } }' >trace.swf
gzip -k trace.swf
sim=$("$BIN/ufab" sim queue --trace trace.swf --json)
expect "a trace is replayed" contains "$sim" '"schema":"ufab.sim.queue/1","jobs":2000,"jobs_left_out":0,"slots":64'
expect "the same every time, packed or not" equal "$("$BIN/ufab" sim queue --trace trace.swf.gz --json)" "$sim"
expect "over several providers too" contains "$("$BIN/ufab" sim queue --trace trace.swf --providers 4 --load 1.2)" "on 4 providers"
slowdown() { grep -o "\"policy\":\"$1\".*" <<<"$sim" | sed -E 's/.*"bounded_slowdown_mean":([^,]*),.*/\1/;' | head -n 1; }
ours=$(slowdown ufab) easy=$(sed -E 's/"policy":"ufab".*//' <<<"$sim" | grep -o '"policy":"easy".*' | sed -E 's/.*"bounded_slowdown_mean":([^,]*),.*/\1/')
expect "ours is ahead of EASY in mean bounded slowdown ($ours, $easy)" awk -v a="$ours" -v b="$easy" 'BEGIN { exit !(a < b) }'
refuse() { local status=0 out; out=$("$BIN/ufab" sim "${@:3}" 2>&1) || status=$?; expect "sim ${*:3} is refused" equal "$status" "$1"; expect "in one line" contains "$out" "$2"; }
refuse 2 "sim queue needs --trace FILE" queue
refuse 2 "no simulation 'chain'" chain
refuse 1 "absent.swf: cannot be opened" queue --trace absent.swf
refuse 1 "job 1 asks for" queue --trace trace.swf --slots 1
refuse 1 "the load factor lies above 0" queue --trace trace.swf --load 0
head -c 2000 trace.swf.gz >cut.swf.gz
refuse 1 "cannot be read, or is not whole" queue --trace cut.swf.gz
