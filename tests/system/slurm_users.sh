#!/usr/bin/env bash
# A Slurm cluster whose node runs as root gives each organisation's scripts to a local user: they are that user's Slurm
# jobs, reach nothing of the node's, are watched, cancelled and accounted as before, and train to the same bits.
if [ "$(id -u)" -ne 0 ]; then echo "skipped: only root submits for other users"; exit 77; fi
source "$(dirname "$0")/slurm_lib.sh"
theirs=games
getent passwd $theirs >/dev/null || { echo "skipped: no account '$theirs' here"; exit 77; }
chmod 711 "$state"
programs_for $theirs
start_slurm_federation alpha
homes+=(beta) # an organisation without a provider
ufab beta init --org beta --join "$(ufab chain status | sed -n 's/^ticket *//p')" >/dev/null
ufab beta up >/dev/null
ufab chain account transfer beta 1000 >/dev/null
read_again() { grep -q 'section was read again' "$state/alpha/node.log"; }
ufab alpha provider init --run-as beta=$theirs >/dev/null
wait_until 20 read_again
expect "check finds nothing" ufab alpha provider check >/dev/null
status=0; ufab alpha provider init --isolation bubblewrap 2>refused >/dev/null || status=$?
expect "bubblewrap is not for Slurm" contains "$status $(cat refused)" "2 ufab: --isolation bubblewrap: for the local batch system"

cat >who.sh <<'EOS'
#!/bin/bash
#SBATCH --ntasks=2 --time=5 --output=who.out
echo "$(id -un) $USER $HOME $(sed -n 's/^NoNewPrivs:\t//p' /proc/self/status) $(umask)"
cat "$1/org.key" "$1/config.toml" "$1/slurm"/*/request.json 2>/dev/null | wc -c
srun -n 2 id -un | sort -u
touch "$PWD/here" && echo "its folder"
EOS
ufab beta submit --wait --quiet who.sh "$state/alpha" || fail "an ordinary script: $(cat who.out)"
expect "the script is the user's and reaches its own folder alone" equal "$(cat who.out)" \
  "$theirs $theirs $(getent passwd $theirs | cut -d: -f6) 1 0077"$'\n0\n'"$theirs"$'\nits folder'
users() { slurm_of alpha sacct -n -X -o user,jobname%80 | awk '/ufab:/ {print $1}' | sort -u; }
expect "Slurm accounts it to that user" equal "$(users)" $theirs

# What it claims about itself is not believed: its launch folder names somebody else's job.
printf '#!/bin/bash\nsleep 120\n' >sleep.sh
victim=$(slurm_of alpha sbatch --parsable --output=/dev/null sleep.sh)
cat >claim.sh <<'EOS'
#!/bin/bash
#SBATCH --time=5 --output=claim.out
echo "$1" >"$PWD.launch/claim" && echo claimed
sleep 120
EOS
job=$(ufab beta submit --parsable claim.sh "$victim")
wait_until 60 grep -q claimed claim.out
sleep 3
kill -9 "$(pgrep -f "^$BIN/ufabd .*$state/alpha")" # what a new node makes of it
ufab alpha up >/dev/null
sleep 3
ufab beta cancel "$job" >/dev/null
ufab beta wait -q "$job" >/dev/null 2>&1 || true
expect "cancel ends it" equal "$(job_field beta "$job" code)" CA
gone() { [ -z "$(slurm_of alpha squeue -h -u $theirs -t RUNNING,COMPLETING)" ]; }
wait_until 60 gone
expect "and nobody else's" equal "$(slurm_of alpha squeue -h -j "$victim" -o %T)" RUNNING
slurm_of alpha scancel "$victim"

training_files 60 20
job=$(ufab beta submit --parsable --ntasks=2 train.sh)
ufab beta wait -q "$job" || fail "training as another user"
expect "the digest is the same" equal "$(final_digest <"$state/alpha-runs/job-$job-1/output")" "$reference"
expect "of files that are the user's" equal "$(stat -c %U "$state/alpha-runs/job-$job-1/out/windows.jsonl")" $theirs
all_imported() { [ -z "$(ls "$state/alpha/imports")" ]; }
wait_until 60 all_imported
ufab alpha audit verify >/dev/null
echo "slurm users: $reference as $theirs"
