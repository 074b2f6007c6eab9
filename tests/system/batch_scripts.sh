#!/usr/bin/env bash
# Ordinary batch scripts: run, named, cancelled, held, retried once only, and paid by measured use.
source "$(dirname "$0")/lib.sh"
start_federation alpha beta

cat >ok.sh <<'EOF'
#!/bin/bash
#SBATCH -J nice-name -o %x-%j.out --time=5
echo "hello $1 from job $SLURM_JOB_ID, $SLURM_NTASKS task"
for i in $(seq 200000); do :; done
EOF
printf '#!/bin/sh\n#SBATCH -o fail-%%j.out -e fail-%%j.err\necho out; echo err >&2; exit 7\n' >fail.sh
printf '#!/bin/sh\nsleep 60\n' >slow.sh

out=$(ufab alpha submit ok.sh world)
expect "sbatch's line is printed" contains "$out" "Submitted batch job 1"
ufab alpha wait -q 1
expect "output lands where the script says" equal "$(cat nice-name-1.out)" "hello world from job 1, 1 task"
expect "somebody else may wait for it too" timeout 20 "$BIN/ufab" --home "$state/beta" wait -q 1
expect "measured use is on the ledger" [ "$(job_field alpha 1 cpu_us)" -gt 0 ]
expect "the provider was paid" contains "$(ufab alpha show 1)" "settled: done"

printf '#!/bin/sh\n#SBATCH -o same.out -e same.out\necho "$1"; echo error >&2\n' >same.sh
echo "what was there before, and longer than the output" >same.out
ufab alpha submit --wait --quiet same.sh first
expect "an earlier file is overwritten" equal "$(cat same.out)" $'first\nerror'
ufab alpha submit --wait --quiet --open-mode=append same.sh second
expect "or appended to" equal "$(cat same.out)" $'first\nerror\nsecond\nerror'
ufab alpha submit --wait --quiet -o /dev/null -e /dev/null same.sh third
ufab alpha submit --wait --quiet -o nowhere/x -e nowhere/x same.sh fourth
expect "an output that cannot be written is told" grep -q 'output: .*nowhere/x: No such file' "$state/alpha/node.log"

mkdir -p folder
echo "from a file" >folder/in-relative
printf '#!/bin/sh\n#SBATCH -J relative -D folder -i in-%%x -o relative.out\npwd; cat\n' >relative.sh
ufab alpha submit --wait --quiet relative.sh
expect "relative names are the submission's" equal "$(cat folder/relative.out)" "$PWD/folder"$'\n'"from a file"

printf '#!/bin/sh\n#SBATCH -o bytes.out\nprintf "%%s %%s" "$LATIN" "$1" | od -An -tx1\n' >bytes.sh
LATIN=$'caf\xe9' ufab alpha submit --wait --quiet bytes.sh $'\xff'
expect "variables and arguments are bytes" equal "$(cat bytes.out)" " 63 61 66 e9 20 ff"

job=$(ufab alpha submit --parsable fail.sh)
status=0; ufab alpha submit --wait --quiet fail.sh || status=$?
expect "--wait gives the job's failure" equal "$status" 1
ufab alpha wait -q "$job" || true
expect "exit code is recorded" equal "$(job_field alpha "$job" exit_code)" 7
printf '#!/bin/bash\n#SBATCH --mem=32\nx=$(head -c 200000000 /dev/zero | tr "\\0" x); sleep 20\n' >hungry.sh
ufab alpha submit --wait --quiet hungry.sh || true
expect "a limit has its own state" contains "$(ufab alpha sacct -nP -o jobname,state)" "hungry.sh|OUT_OF_MEMORY"
expect "outputs are apart" equal "$(cat "fail-$job.out")-$(cat "fail-$job.err")" "out-err"
expect "sacct shows it" contains "$(ufab alpha sacct -j "$job" -p)" "$job|fail.sh|alpha|FAILED|7:0|"
expect "as administrators ask it" equal "$(ufab alpha sacct -nP -j "1,$job" -o jobid,STATE)" $'1|COMPLETED\n'"$job|FAILED"

job=$(ufab alpha submit --parsable slow.sh)
is_running() { [ "$(job_field alpha "$job" run)" = running ]; }
wait_until 15 is_running
ufab alpha cancel "$job" >/dev/null
status=0; ufab alpha wait -q "$job" || status=$?
expect "a cancelled job is no success" equal "$status" 1
expect "its state is Slurm's" equal "$(job_field alpha "$job" code)" CA

printf '#!/bin/sh\nif [ "$SLURM_RESTART_COUNT" -eq 0 ]; then exec sleep 60; fi\n' >lost.sh
kill_supervisor() { kill -9 "$(sed -nE 's/.*"shepherd_pid":([0-9]+).*/\1/p' "$state/alpha/batch/job-$1-1/status.json")"; }
job=$(ufab alpha submit --parsable lost.sh)
wait_until 15 is_running
kill_supervisor "$job"
ufab alpha wait -q "$job"
expect "a run whose supervisor vanished is requeued" equal "$(job_field alpha "$job" attempts)" 2
job=$(ufab alpha submit --parsable --no-requeue lost.sh)
wait_until 15 is_running
kill_supervisor "$job"
status=0; ufab alpha wait -q "$job" || status=$?
expect "or fails, and is no success" equal "$status-$(job_field alpha "$job" code)" "1-F"

job=$(ufab alpha submit --parsable -H ok.sh)
sleep 1.5
expect "a held job waits" equal "$(job_field alpha "$job" phase)" ordered
ufab alpha release "$job" >/dev/null
ufab alpha wait -q "$job"
expect "a job that has ended cannot be released" contains "$(ufab alpha release "$job" 2>&1 || true)" "has ended already"

first=$(ufab alpha submit --parsable --idempotency-key=once ok.sh)
again=$(ufab alpha submit --parsable --idempotency-key=once ok.sh)
expect "one key submits once" equal "$first" "$again"
ufab alpha wait -q "$first"
for i in 1 2 3 4; do ufab alpha submit --parsable --idempotency-key=together ok.sh >"together.$i" & done
wait
expect "one key at the same moment submits once" equal "$(cat together.? | sort -u | wc -l)" 1
ufab alpha wait -q "$(cat together.1)"

status=0; ufab alpha submit --budget=0.000001 ok.sh 2>err || status=$?
expect "a budget that is too small is refused" equal "$status" 1
expect "with both figures" contains "$(cat err)" "raise --budget"
ufab alpha submit --test-only -p debug --nodes=2 -C fast ok.sh 2>ignored >/dev/null
expect "what has no effect is said" equal "$(cat ignored)" "ufab: accepted without effect: --constraint, --partition"
status=0; ufab alpha submit --test-only ok.sh >offer || status=$?
expect "--test-only prices and stops" equal "$status-$(grep -c Submitted offer || true)" "0-0"

cat >sweep.sh <<'EOF'
#!/bin/bash
#SBATCH --array=2-6:2%2 --job-name=sweep
echo "$SLURM_ARRAY_JOB_ID $SLURM_ARRAY_TASK_ID $SLURM_ARRAY_TASK_COUNT $SLURM_ARRAY_TASK_MIN $SLURM_ARRAY_TASK_MAX $SLURM_ARRAY_TASK_STEP"
[ "$SLURM_ARRAY_TASK_ID" != "${1-}" ]
EOF
array=$(ufab alpha submit --parsable --idempotency-key=sweep sweep.sh)
ufab alpha wait -q "$array"
for task in 2 4 6; do
  expect "task $task knows its place" equal "$(cat "slurm-${array}_$task.out")" "$array $task 3 2 6 2"
done
expect "a task is a job of its own" equal "$(job_field alpha "${array}_6" job)-$(job_field alpha "${array}_6" array_task)" "$((array + 2))-6"
expect "the key submits the array once" equal "$(ufab alpha submit --parsable --idempotency-key=sweep sweep.sh)" "$array"
status=0; ufab alpha submit --wait --quiet sweep.sh 4 || status=$?
expect "--wait tells of one task's failure" equal "$status" 1
printf '#!/bin/sh\n#SBATCH --array=0-2 -o /dev/null\nsleep 60\n' >long.sh
array=$(ufab alpha submit --parsable --hold long.sh)
ufab alpha cancel "${array}_[1-2]" >/dev/null
ufab alpha wait -q "${array}_1" || true
expect "tasks are cancelled alone" equal "$(job_field alpha "${array}_1" code)-$(job_field alpha "${array}_0" phase)" "CA-ordered"
ufab alpha cancel "$array" >/dev/null 2>&1 || true # two have ended already
ufab alpha wait -q "${array}_0" || true
expect "or with their array" equal "$(job_field alpha "${array}_0" code)" CA

# A node that is killed between two tasks: the same submission with the same key completes the array, once.
printf '#!/bin/sh\n#SBATCH --array=0-59 -o /dev/null\ntrue\n' >many.sh
# Whoever asks a node finds every job's folder there; submissions themselves do not wait for them.
count_jobs() { ufab alpha queue >/dev/null; find "$state/alpha/jobs" -mindepth 1 -maxdepth 1 -type d | wc -l; }
more_than() { [ "$(count_jobs)" -gt "$1" ]; }
before=$(count_jobs)
ufab alpha submit --hold --parsable --idempotency-key=cut many.sh >/dev/null 2>cut &
submission=$!
until more_than $((before + 5)); do :; done
kill -9 "$(pgrep -f "^$BIN/ufabd .*$state/alpha")"
wait "$submission" || true
expect "a submission that was cut off says how it is completed" grep -q -- "--idempotency-key=cut" cut
ufab alpha up >/dev/null
expect "it was cut off" equal "$(more_than $((before + 59)) && echo whole || echo part)" part
array=$(ufab alpha submit --hold --parsable --idempotency-key=cut many.sh)
expect "no task is missing or there twice" equal "$(count_jobs)" "$((before + 60))"
expect "they know their array" equal "$(job_field alpha "${array}_59" array_job)" "$array"
ufab alpha cancel "$array" >/dev/null

"$BIN/ufab" --home "$state/none" submit --test-only --json sweep.sh >test.json
expect "--test-only reads a script where there is no home" contains "$(cat test.json)" '"offer":null'
expect "under Slurm's names" contains "$(cat test.json)" '"options":{"array":"2-6:2%2","job-name":"sweep","test-only":true}'
expect "with what they mean" contains "$(cat test.json)" '"array":{"tasks":[2,4,6],"throttle":2,"step":2}'
expect "and has the offer where there is one" contains "$(ufab alpha submit --test-only --json ok.sh)" '"schema":"ufab.offer/1"'
status=0; printf '#!/bin/sh\n#SBATCH -n 2\n#SBATCH hetjob\n#SBATCH -n 1\n' | ufab alpha submit 2>err || status=$?
expect "which --test-only says too" contains "$(printf '#!/bin/sh\n#SBATCH hetjob\n' | ufab alpha submit --test-only --json)" '"offer":null,"offer_reason":"a heterogeneous'
expect "a heterogeneous job is refused in a line" contains "$status $(cat err)" "1 ufab: a heterogeneous job of 2 components"
status=0; ufab alpha submit --gpus=2 ok.sh 2>err || status=$?
expect "nobody runs a GPU job without GPUs" contains "$status $(cat err)" "1 ufab: option --gpus: no provider of this chain offers gpu"
printf 'FROM_FILE=two words\0EMPTY=\0' >block
ufab alpha submit --wait --quiet --export=NONE --export-file=block -o from-file --wrap 'echo "$FROM_FILE"'
expect "variables come from a file" equal "$(cat from-file)" "two words"
mkdir login # whatever the profile of this account does, and however long
echo 'export FROM_LOGIN=yes' >login/.profile
HOME=$PWD/login SHELL=/bin/sh ufab alpha submit --wait --quiet --get-user-env -o from-login --wrap 'echo "$FROM_LOGIN"'
expect "or a login shell" equal "$(cat from-login)" "yes"

ufab alpha audit verify >/dev/null
ufab beta audit verify >/dev/null
for home in alpha chain; do ufab "$home" down >/dev/null; done # what follows is offline, and the index is complete
expect "history shows the pledge" contains "$(ufab chain account history)" "stake:1"
expect "the newest movement comes first" sort -c -rn <(ufab chain account history | awk 'NR > 1 {print $1}')
expect "history shows the escrow of job 1" contains "$(ufab alpha account history --limit 1000)" "escrow:1"
expect "and says the same as JSON" contains "$(ufab alpha account history --json)" '"schema":"ufab.history/1"'
echo "batch scripts: all as expected"
