#!/usr/bin/env bash
# A provider whose Slurm is submitted to through slurmrestd: a script runs and is accounted for as by sbatch, a
# slurmrestd that is away delays a job and loses none, and what Slurm refuses ends the job with Slurm's words.
PATH=$PATH:/usr/sbin
command -v slurmrestd >/dev/null || { echo "skipped: no slurmrestd here"; exit 77; }
source "$(dirname "$0")/slurm_lib.sh"
start_slurm_federation alpha
chmod 711 "$state"  # slurmrestd is not root
clusters rest alpha
rest=$slurm/alpha/rest
ufab alpha provider init --slurm rest="unix:$rest/run/socket" --slurm rest-token="$rest/token" >/dev/null
ufab alpha down >/dev/null
ufab alpha up >/dev/null
expect "check finds slurmrestd" contains "$(ufab alpha provider check)" "slurmrestd answers"

printf '#!/bin/bash\n#SBATCH --ntasks=2 --mem=128M --time=5 --job-name=via-rest\necho "$SLURM_JOB_NAME $SLURM_NTASKS $0"\nexit 3\n' >script.sh
job=$(ufab alpha submit --parsable script.sh)
status=0; ufab alpha wait -q "$job" || status=$?
expect "the script's exit status comes back" equal "$(job_field alpha "$job" exit_code)" 3
expect "its output too" contains "$(cat "slurm-$job.out")" "via-rest 2"
rows() { slurm_of alpha sacct -n -X -P -o JobName,ReqMem,Timelimit,State | grep "job-$1-"; }
expect "Slurm ran it once, with its limits" equal "$(rows "$job" | wc -l)-$(rows "$job" | cut -d'|' -f2-)" "1-128M|00:05:00|FAILED"

# Only slurmrestd knows of this submission's way: sbatch is never called for it.
expect "it was slurmrestd that submitted it" grep -q "POST /slurm/v0.0.38/job/submit" "$slurm/alpha/log/slurmrestd"

# Away for a while: the job waits, and runs once.
clusters kill alpha/slurmrestd
job=$(ufab alpha submit --parsable script.sh)
sleep 3
expect "nothing has started without slurmrestd" equal "$(rows "$job" | wc -l)" 0
clusters start alpha/slurmrestd
ufab alpha wait -q "$job" || true
expect "a job outlasts slurmrestd" equal "$(rows "$job" | wc -l)-$(job_field alpha "$job" exit_code)" "1-3"

# What slurmrestd cannot express goes by sbatch.
printf '#!/bin/bash\n#SBATCH --signal=B:USR1@3 --time=1\ntrap "echo warned; exit 0" USR1\nfor i in $(seq 700); do sleep 0.1; done\n' >warn.sh
job=$(ufab alpha submit --parsable warn.sh)
running() { [ "$(job_field alpha "$job" phase)" = running ] && rows "$job" | grep -q RUNNING; }
wait_until 60 running
expect "a warning for the shell alone reached Slurm" contains "$(slurm_of alpha scontrol show job "$(slurm_of alpha squeue -h -o %A | head -n 1)")" "job-$job-"
ufab alpha cancel "$job" >/dev/null
ufab alpha wait -q "$job" || true

# Refused by Slurm: said in its words.
ufab alpha provider init --slurm reservation=none-such >/dev/null
ufab alpha down >/dev/null
ufab alpha up >/dev/null
job=$(ufab alpha submit --parsable script.sh)
refused() { ufab alpha show "$job" | grep -q "reservation is invalid"; }
wait_until 60 refused
ufab alpha cancel "$job" >/dev/null 2>&1 || true
echo "slurmrestd: all as expected"
