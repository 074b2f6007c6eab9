#!/usr/bin/env bash
# Two real Slurm clusters, enrolled as two providers, run one training job from an unmodified #SBATCH script: the
# digest is the one that a single process computes, and what sacct says of both runs is on the ledger.
source "$(dirname "$0")/slurm_lib.sh"
start_slurm_federation alpha beta
for name in alpha beta; do
  expect "check of $name finds nothing" ufab $name provider check >/dev/null
done
training_files 60 20

digest_of() { cat "$state"/*/jobs/"$1"/output | final_digest; }
run() { # run "what" OPTION…
  local what=$1
  shift
  job=$(ufab alpha submit --parsable "$@" train.sh)
  ufab alpha wait -q "$job"
  expect "the digest of $what" equal "$(digest_of "$job")" "$reference"
}
run "two clusters" --providers=2
run "two clusters, shares 1:7, two ranks each" --providers=2 --shares=1:7 --ntasks=2

# The script was each cluster's own job, with Slurm's variables and the fabric's.
cat >hello.sh <<'EOS'
#!/bin/bash
#SBATCH --job-name=hello --ntasks=2 --time=5 --output=hello.out
#SBATCH --partition=of-another-site --constraint=volta
echo "$SLURM_JOB_NAME $SLURM_CLUSTER_NAME job $UFAB_JOB_ID tasks $SLURM_NTASKS in $PWD arguments $*"
echo "slurm $SLURM_JOB_ID node $SLURMD_NODENAME"
srun -n 2 hostname | sort | tr '\n' ' '
exit 3
EOS
job=$(ufab alpha submit --parsable hello.sh one 'two three')
expect "a script that fails is a job that fails" equal "$(ufab alpha wait -q "$job" >/dev/null 2>&1; echo $?)" 1
output=$(cat hello.out)
expect "Slurm's variables stand beside the fabric's" contains "$output" "hello alpha job $job tasks 2 in $PWD arguments one two three"
expect "steps run inside the job" grep -qE 'an[12] an[12]' hello.out
expect "the exit code is the script's" contains "$(ufab alpha sacct -j "$job" --json)" '"ExitCode":"3:0"'

# A script that was changed after its owner signed it does not run.
job=$(ufab alpha submit --parsable --hold hello.sh)
wait_until 20 test -e "$state/alpha/jobs/$job/script"
printf '#!/bin/bash\ntouch "%s/ran"\n' "$state" >"$state/alpha/jobs/$job/script"
ufab alpha release "$job" >/dev/null
ufab alpha wait -q "$job" >/dev/null 2>&1 || true
expect "a changed script is not run" test ! -e "$state/ran"

# What sacct says is what the ledger says.
ended() { slurm_of "$1" sacct -n -X -o jobname%80,state | grep -c '^ *ufab:.*COMPLETED\|^ *ufab:.*FAILED' || true; }
all_imported() {
  local filed
  filed=$(for name in alpha beta; do ls "$state/$name/imports"; done | wc -l)
  [ "$filed" -eq 0 ]
}
wait_until 60 all_imported
for name in alpha beta chain; do ufab $name audit verify >/dev/null; done
echo "digests: $reference on two Slurm clusters; $(ended alpha) and $(ended beta) runs in their accounts"
