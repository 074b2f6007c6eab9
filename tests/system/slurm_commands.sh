#!/usr/bin/env bash
# sbatch, squeue, sacct, scancel and sinfo as people and their scripts use them, over a real node.
source "$(dirname "$0")/lib.sh"
start_federation alpha
PATH="$BIN/slurm:$PATH"
export UFAB_HOME="$state/alpha"
unset "${!SBATCH_@}" "${!SQUEUE_@}" "${!SINFO_@}"

cat >ok.sh <<'SCRIPT'
#!/bin/bash
#SBATCH -J Hello_World -p batch -A physics -t 5 -o out-%j
echo "hello from $SLURM_JOB_ID"
for i in $(seq 100000); do :; done
SCRIPT
printf '#!/bin/sh\n#SBATCH -J long -o /dev/null\nsleep 60\n' >long.sh
state_of() { squeue -h -j "$1" -t all -o %t; }
ends_as() { [ "$(state_of "$1")" = "$2" ]; }

expect "sbatch prints its line and no more" equal "$(sbatch ok.sh)" "Submitted batch job 1"
expect "--parsable prints the number" equal "$(sbatch --parsable --wait ok.sh)" 2
expect "a script may come on standard input" equal "$(sbatch --wait <ok.sh)" "Submitted batch job 3"
expect "or be one command" equal "$(sbatch --wait --parsable -J one --wrap 'exit 3' || echo "failed $?")" $'4\nfailed 1'
wait_until 20 ends_as 1 CD
expect "the script ran" equal "$(cat out-1)" "hello from 1"
status=0; sbatch --no-such-option ok.sh 2>err || status=$?
expect "a bad option is 255" equal "$status" 255
status=0; sbatch missing.sh 2>err || status=$?
expect "a script that is not there is told" grep -q missing.sh err
sbatch --test-only ok.sh 2>err
expect "--test-only says that it would run" grep -q '^sbatch: the job would be taken' err

long=$(sbatch --parsable long.sh)
held=$(sbatch --parsable -H -n 2 --mem=512M -d "afterok:$long" --nice=3 ok.sh)
array=$(sbatch --parsable -H -a 1-9:2%2 -J sweep long.sh)
wait_until 20 ends_as "$long" R
squeue >listing
expect "squeue has Slurm's header" equal "$(head -n 1 listing)" \
  "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)"
expect "a running job names its provider" grep -qE "^ +$long +ufab +long +alpha  R +[0-9:]+ +1 alpha$" listing
expect "a held one its reason" grep -qE "^ +$held +batch Hello_Wo +alpha PD +0:00 +1 \(.*\)$" listing
expect "waiting tasks stand in one line" grep -qF " ${array}_[1,3,5,7,9%2] " listing
expect "unless -r takes them apart" equal "$(squeue -h -r -n sweep -o %i | tr '\n' ' ')" \
  "${array}_1 ${array}_3 ${array}_5 ${array}_7 ${array}_9 "
expect "columns are chosen by letters" equal "$(squeue -h -j "$held" -o '%i|%j|%T|%l|%m|%C|%E|%y|%a|%Z')" \
  "$(printf '%s|Hello_World|PENDING|5:00|512M|2|afterok:%s|3|physics|%s' "$held" "$long" "$PWD")"
expect "what stands around them is kept" equal "$(squeue -h -j "$held" -o 'a%.4j<%10T| b')" "aHell<PENDING   | b"
expect "or by names" equal "$(squeue -h -j "$held" -O 'Name:6,State:.9')" "Hello_  PENDING"
expect "this user's jobs" equal "$(squeue -h --me -t R -o %i)-$(squeue -h -u "${USER:-alpha}" -t R -o %A 2>/dev/null || true)" "$long-$long"
expect "states by code or name" equal "$(squeue -h -t running -o %i)-$(squeue -h -t R -o %i)" "$long-$long"
expect "nobody else's" equal "$(squeue -h -u somebody)" ""
expect "sorted as asked" equal "$(squeue -h -r -n sweep,long -S -t,-i -o %i | tr '\n' ' ')" \
  "$long ${array}_9 ${array}_7 ${array}_5 ${array}_3 ${array}_1 "
expect "when jobs will start" equal "$(squeue --start -h -j "$held" -o '%i %S')" "$held N/A"
expect "as JSON" contains "$(squeue --json -j "$held")" "\"job_id\":$held,\"array_job_id\":0"
status=0; squeue -j 999 2>err || status=$?
expect "an unknown job is an error" equal "$status-$(cat err)" "1-squeue: error: Invalid job id specified"
status=0; squeue -o %% 2>err || status=$?
expect "an unknown column too" equal "$status" 1

expect "sinfo has Slurm's header" equal "$(sinfo | head -n 1)" "PARTITION AVAIL  TIMELIMIT  NODES  STATE NODELIST"
expect "a provider with a free processor" equal "$(sinfo -h)" "ufab*        up   infinite      1    mix alpha"
expect "in a script's own form" equal "$(sinfo -h -o '%P|%a,%t')" "ufab*|up,mix"
expect "by node" equal "$(sinfo -h -N -o '%N %t %c %m')" "alpha mix 2 2048"
expect "in sum" equal "$(sinfo -h -s)" "ufab*        up   infinite          1/0/0/1 alpha"
expect "processors" equal "$(sinfo -h -o %C)" "1/1/0/2"

scancel "${array}_3"
wait_until 20 ends_as "${array}_3" CA
expect "one task is cancelled alone" equal "$(squeue -h -n sweep -o %i)" "${array}_[1,5,7,9%2]"
scancel -n sweep -t pending
wait_until 20 ends_as "${array}_9" CA
expect "the rest by name and state" equal "$(squeue -h -n sweep -o %i)" ""
status=0; scancel --signal=USR1 "$long" 2>err || status=$?
expect "what the fabric cannot send is refused" grep -q "ends a job with TERM and KILL" err
scancel --me
wait_until 20 ends_as "$long" CA
wait_until 20 ends_as "$held" CA
status=0; scancel 2>err || status=$?
expect "scancel wants to know which" equal "$status" 1

sacct -j 1,4 >accounts
expect "sacct has Slurm's header" equal "$(head -n 2 accounts)" \
"JobID           JobName  Partition    Account  AllocCPUS      State ExitCode 
------------ ---------- ---------- ---------- ---------- ---------- -------- "
expect "a job and its batch step" equal "$(sed -n '3,4p' accounts)" \
"1            Hello_Wor+      batch    physics          1  COMPLETED      0:0 
1.batch           batch               physics          1  COMPLETED      0:0 "
expect "exit codes" equal "$(sacct -nXP -j 4 -o JobID,State,ExitCode)" "4|FAILED|3:0"
expect "parsable with bars at the end" equal "$(sacct -nXp -j 1 --format=jobid,user,timelimit)" "1|alpha|00:05:00|"
expect "or others" equal "$(sacct -nXP --delimiter=, -j 1 -o jobid,state)" "1,COMPLETED"
expect "widths" equal "$(sacct -nX -j 1 -o 'JobName%5,State%-12')" "Hell+ COMPLETED    "
expect "from and until" equal "$(sacct -nXP -S now+1hour -o JobID; sacct -nXP -E 2020-01-01 -o JobID)" ""
expect "today is the default" contains "$(sacct -nXP -o JobID)" "1"
expect "states" equal "$(sacct -nXP -s CD -o JobID,State | sort -u)" $'1|COMPLETED\n2|COMPLETED\n3|COMPLETED'
expect "measured times" equal "$(sacct -nXP -j 1 -o Start,End | grep -cE '^20..-..-..T..:..:..\|20..-..-..T..:..:..$')" 1
expect "as JSON too" contains "$(sacct --json -j 1)" '"schema":"ufab.slurm-sacct/1"'
status=0; sacct -o NoSuchField 2>err || status=$?
expect "an unknown field is an error" equal "$status" 1

ufab alpha down >/dev/null
status=0; squeue 2>err >/dev/null || status=$?
expect "without a node each says so and fails" contains "$status $(cat err)" "1 ufab: "
echo "Slurm's commands: all as expected"
