#!/usr/bin/env bash
# The installer shows, applies and takes back; the hooks note every completion; the reconciliation finds ledger, sacct
# and telemetry equal, and then each planted difference by its kind.
source "$(dirname "$0")/slurm_lib.sh"
install=$(cd "$(dirname "$0")/../../slurm" && pwd)/install.sh
start_slurm_federation alpha
conf=$slurm/alpha/slurm.conf
spool=$state/hooks
ufab alpha provider init --slurm telemetry="$spool" >/dev/null

cp "$conf" "$state/slurm.conf.before"
"$install" --conf "$conf" --bin "$BIN" --spool "$spool" >"$state/shown"
expect "showing changes nothing" cmp -s "$conf" "$state/slurm.conf.before"
expect "it shows the hook" grep -q '^+JobCompType=jobcomp/script' "$state/shown"
"$install" --conf "$conf" --bin "$BIN" --spool "$spool" --apply >/dev/null
"$install" --conf "$conf" --bin "$BIN" --spool "$spool" --apply >/dev/null
expect "applying twice is applying once" equal "$(grep -c '^JobCompType' "$conf")" 1
"$install" --conf "$conf" --bin "$BIN" --spool "$spool" --undo >/dev/null
expect "undoing leaves the file as it was" cmp -s "$conf" "$state/slurm.conf.before"
expect "and nothing beside it" test ! -e "$slurm/alpha/ufab-jobcomp" -a ! -e "$slurm/alpha/plugstack.conf"
mkdir "$state/site"
(cat "$conf"; echo JobCompType=jobcomp/filetxt) >"$state/site/slurm.conf"
"$install" --conf "$state/site/slurm.conf" --bin "$BIN" --spool "$spool" --apply >"$state/shown"
expect "a site's own JobCompType stays" equal "$(grep -c '^JobComp' "$state/site/slurm.conf")" 1
expect "and it is told what to call" grep -q 'is jobcomp/filetxt already' "$state/shown"
"$install" --conf "$conf" --bin "$BIN" --spool "$spool" --apply >/dev/null
clusters kill alpha/slurmctld
clusters start alpha/slurmctld
answers() { slurm_of alpha scontrol ping | grep -q UP; }
wait_until 30 answers
slurm_of alpha scontrol reconfigure

cat >work.sh <<'EOS'
#!/bin/bash
#SBATCH --ntasks=1 --time=5 --output=/dev/null
srun -n 1 sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit '"$1"
EOS
for code in 0 3 0; do
  job=$(ufab alpha submit --parsable work.sh $code)
  ufab alpha wait -q "$job" >/dev/null 2>&1 || true
done
all_imported() { [ -z "$(ls "$state/alpha/imports")" ]; }
wait_until 60 all_imported
reconcile() { SLURM_CONF=$conf ufab alpha audit reconcile --slurm "$@"; }
kinds() { # the kinds and counts of what is found, on one line
  reconcile --json "$@" | python3 -c '
import json, sys
found = json.load(sys.stdin)
print(*[f"{k}={len(found[k])}" for k in ("missing_on_ledger", "missing_in_slurm", "differs", "clock")])'
}
agree() { [ "$(cat "$spool"/*.jsonl 2>/dev/null | grep -c completion)" -ge 3 ] && reconcile; }
wait_until 30 agree
expect "ledger, sacct and telemetry are equal" reconcile
expect "each task's use is noted" grep -q '"schema":"ufab.task/1"' "$spool"/tasks-an1.log

# A failure of ours is nobody's: without its spool the hooks say nothing, and jobs go on.
expect "a broken value is refused where the user stands" bash -c \
  "! SLURM_CONF=$conf srun --ufab-budget=much true 2>'$state/refusal'"
expect "in one line" grep -q "is not an amount in UNC" "$state/refusal"
mv "$spool" "$spool.away"
touch "$spool"
expect "a spool that is no folder fails no job" slurm_of alpha srun -n 1 --ufab-job=7 sh -c '[ "$UFAB_JOB_ID" = 7 ]'
expect "nor drains a node" equal "$(slurm_of alpha sinfo -h -t drain,down -o %n)" ""
rm "$spool"
mv "$spool.away" "$spool"

# Planted differences. (1) A job in the fabric's partition that bypassed the fabric: the srun above and this one.
slurm_of alpha sbatch --wait --wrap true --output=/dev/null >/dev/null
bypassed() { [ "$(kinds)" = "missing_on_ledger=2 missing_in_slurm=0 differs=0 clock=0" ]; }
wait_until 30 bypassed
expect "exit status 1 when there are differences" equal "$(reconcile >/dev/null; echo $?)" 1

# (2) An edited row of sacct, (3) a missing completion, (4) a clock an hour off: in copies, as an auditor would get them.
columns=$("$BIN/ufab" audit reconcile --help | sed -nE 's/.*COLUMNS being *(.*)/\1/p' | tr -d '. ')
columns=${columns:-Cluster,JobIDRaw,JobID,User,Account,Partition,Submit,Start,End,ElapsedRaw,State,ExitCode,AllocCPUS,NNodes,AllocTRES,ReqTRES,TotalCPU,MaxRSS,ConsumedEnergyRaw,JobName}
slurm_of alpha env TZ=UTC SLURM_TIME_FORMAT=%s sacct -aDP --noconvert --format="$columns" |
  grep -E '^Cluster|\|ufab:|batch\|$|\|sh$' >"$state/sacct.txt"
grep '"name":"ufab:' "$spool"/*.jsonl | sed 's/^[^{]*//' >"$state/completions.jsonl"
found() { kinds --shared --sacct "$1" --telemetry "$2"; }
expect "the copies agree" equal "$(found "$state/sacct.txt" "$state/completions.jsonl")" "missing_on_ledger=0 missing_in_slurm=0 differs=0 clock=0"
sed 's/|3:0|/|0:0|/' "$state/sacct.txt" >"$state/edited.txt"
expect "an edited row differs" equal "$(found "$state/edited.txt" "$state/completions.jsonl")" "missing_on_ledger=0 missing_in_slurm=0 differs=1 clock=0"
sed 1d "$state/completions.jsonl" >"$state/fewer.jsonl"
expect "a missing completion is missing" equal "$(found "$state/sacct.txt" "$state/fewer.jsonl")" "missing_on_ledger=0 missing_in_slurm=1 differs=0 clock=0"
python3 - "$state/completions.jsonl" "$state/late.jsonl" <<'PY'
import json, sys
with open(sys.argv[1]) as lines, open(sys.argv[2], "w") as out:
    for line in lines:
        row = json.loads(line)
        for key in ("submit_s", "start_s", "end_s"):
            row[key] += 3600
        out.write(json.dumps(row) + "\n")
PY
expect "a clock an hour off is one finding" equal "$(found "$state/sacct.txt" "$state/late.jsonl")" "missing_on_ledger=0 missing_in_slurm=0 differs=0 clock=1"
echo "ledger, sacct and telemetry agree; each planted difference is found by its kind"
