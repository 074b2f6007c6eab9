#!/usr/bin/env bash
# Usage imports, corrections, exports and the reconciliation through the command line, on a real chain of two nodes.
# Slurm's part is played by files of sacct's text and of the hooks' lines.
source "$(dirname "$0")/lib.sh"
start_federation alpha

# refuse STATUS "part of the line" COMMAND…
refuse() {
  local wanted=$1 part=$2 status=0
  shift 2
  "$@" >stdout 2>stderr || status=$?
  expect "exit status of: $*" equal "$status" "$wanted"
  expect "its text, of: $*" contains "$(tail -n 1 stderr)" "$part"
}
ufab alpha submit --parsable --wrap true >/dev/null
ufab alpha submit --parsable --wrap true >/dev/null
ufab alpha wait 1 >/dev/null
ufab alpha wait 2 >/dev/null

chain=$(ufab alpha audit verify --json | field chain_id)
chain=${chain#sha256:}
tag() { echo "ufab:${chain:0:8}:job-$1-1:0123456789abcdef"; }
header='Cluster|JobIDRaw|JobID|User|Account|Partition|Submit|Start|End|ElapsedRaw|State|ExitCode|AllocCPUS|NNodes|AllocTRES|ReqTRES|TotalCPU|MaxRSS|ConsumedEnergyRaw|JobName'
row() { # row ID START TOTAL_CPU NAME [PARTITION]
  echo "north|$1|$1|ufab-a|lab|${5:-fabric}|$(($2 - 5))|$2|$(($2 + 60))|60|COMPLETED|0:0|2|1|billing=2,cpu=2,node=1|||||$4"
  echo "north|$1.batch|$1.batch||lab||$2|$2|$(($2 + 60))|60|COMPLETED|0:0|2|1|||$3|1500K||batch"
}
completion() { # completion ID START NAME
  echo "{\"schema\":\"ufab.completion/1\",\"cluster\":\"north\",\"job_id\":$1,\"submit_s\":$(($2 - 5)),\"start_s\":$2,\"end_s\":$(($2 + 60)),\"state\":\"COMPLETED\",\"exit_code\":0,\"user\":\"ufab-a\",\"partition\":\"fabric\",\"name\":\"$3\"}"
}
{ echo "$header"; row 41 1800000000 00:50 "$(tag 1)"; row 42 1800000100 00:30.500 "$(tag 2)"; row 43 1800000100 00:30 other shared; } >sacct.txt
mkdir hooks
{ completion 41 1800000000 "$(tag 1)"; completion 42 1800000100 "$(tag 2)"; } >hooks/1.jsonl

# What the ledger does not have yet.
reconcile() { ufab alpha audit reconcile --slurm --partition fabric "$@"; }
refuse 1 "" reconcile --sacct sacct.txt --json
expect "leased runs without an import are missing on the ledger" contains "$(cat stdout)" "job 1 attempt 1 was leased, but its usage is not on the ledger"
ufab alpha audit import 1 --sacct sacct.txt >/dev/null
ufab alpha audit import 2 --id 42 --sacct - <sacct.txt >/dev/null
refuse 1 "there is one for attempt 1 already" ufab alpha audit import 1 --sacct sacct.txt
refuse 1 "sacct has no ended run of job 1 attempt 1" ufab alpha audit import 1 --id 99 --sacct sacct.txt
refuse 1 "leased no attempt of job 7" ufab alpha audit import 7 --sacct sacct.txt
wait_until 20 reconcile --sacct sacct.txt --telemetry hooks
expect "all three agree" equal "$(reconcile --sacct sacct.txt --telemetry hooks --json | field equal)" true
expect "the node's default folder is read" contains "$(cp -r hooks "$state/alpha/telemetry" && reconcile --sacct sacct.txt)" "2 runs on the ledger, 2 found in sacct, 2 in telemetry: no differences"

# Planted differences, each by its kind and nothing else.
planted() { # planted KIND "part of it" [OPTION…]
  local kind=$1 part=$2 name count
  shift 2
  refuse 1 "" reconcile --json "$@"
  for name in missing_on_ledger missing_in_slurm differs clock; do
    count=$(python3 -c 'import json,sys; print(len(json.load(open("stdout"))[sys.argv[1]]))' $name)
    expect "$kind: number of $name" equal "$count" "$([ $name = "$kind" ] && echo 1 || echo 0)"
  done
  expect "$kind" contains "$(cat stdout)" "$part"
}
{ cat sacct.txt; row 50 1800000200 00:01 mine; } >bypassed.txt
planted missing_on_ledger "it ran in the fabric's partition fabric without the fabric" --sacct bypassed.txt
reconcile --sacct bypassed.txt --shared >/dev/null
{ cat sacct.txt; row 51 1800000200 00:01 "$(tag 9)" shared; } >tagged.txt
planted missing_on_ledger "tagged as job 9 attempt 1, which this provider never leased" --sacct tagged.txt
sed 's/|00:50|/|00:59|/' sacct.txt >edited.txt
planted differs '"field":"cpu_us","ledger":50000000,"slurm":59000000' --sacct edited.txt
grep -v '|41' sacct.txt >purged.txt
planted missing_in_slurm '"sources":["sacct"]' --sacct purged.txt
reconcile --sacct purged.txt --from 2027-01-15T08:02:00 >/dev/null
head -n 1 hooks/1.jsonl >silent.jsonl
planted missing_in_slurm '"sources":["telemetry"]' --sacct sacct.txt --telemetry silent.jsonl
{ echo "$header"; row 41 1800003600 00:50 "$(tag 1)"; row 42 1800003700 00:30.500 "$(tag 2)"; } >clock.txt
planted clock '"offset_us":3600000000,"rows":2' --sacct clock.txt

# A correction: nothing is replaced, everything that is derived shows it.
refuse 2 "expected FIELD=VALUE; the fields are start_us" ufab alpha audit correct 1 cluster=south --reason x
refuse 2 "no such value is possible" ufab alpha audit correct 1 cpu_us=-1 --reason x
refuse 2 "--reason" ufab alpha audit correct 1 cpu_us=1
refuse 1 "state 'R'" ufab alpha audit correct 1 state=R --reason x
refuse 1 "that is what stands already" ufab alpha audit correct 1 cpu_us=50000000 --reason x
ufab alpha audit export --format apel -o before.apel
ufab alpha audit correct 1 cpu_us=59000000 --reason "a step was accounted late" >/dev/null
wait_until 20 reconcile --sacct edited.txt
refuse 1 "" reconcile --sacct sacct.txt
expect "the import is still there" contains "$(ufab alpha audit job 1)" "attempt 1: run 41 of north, CD, elapsed 60000000 us, cpu 50000000 us"
expect "and the correction" contains "$(ufab alpha audit job 1)" "right is run 41 of north, CD, elapsed 60000000 us,"
ufab alpha audit export --format apel >after.apel
expect "APEL's record has the new value" grep -qx "CpuDuration: 59" after.apel
expect "and is of the same key" equal "$(grep -E '^(Site|LocalJobId|EndTime)' before.apel)" "$(grep -E '^(Site|LocalJobId|EndTime)' after.apel)"
validate="python3 $(dirname "$examples")/../tests/accounting/audit/export/validate.py"
expect "who was sent both holds two runs" equal "$($validate apel before.apel after.apel)" "records=2 wall_s=120 cpu_s=89"
for format in apel-summary gpu auditor auditor-update sacct csv; do
  ufab alpha audit export --format $format -o out.$format
  $validate "${format%-update}" out.$format >/dev/null || fail "$format is not valid"
done
ufab alpha audit export --format car -o out.xml
expect "CAR is valid" xmllint --noout --schema "$(dirname "$examples")/../tests/accounting/audit/export/car.xsd" out.xml 2>/dev/null
# Any auditor gets the same text, from any replica, without a node.
same_text() { equal "$(ufab chain audit export --format csv)" "$(cat out.csv)" 2>/dev/null; }
wait_until 20 same_text
ufab alpha audit verify >/dev/null

# Bad input.
refuse 2 "give --format apel|" ufab alpha audit export
refuse 2 "no format 'xml'" ufab alpha audit export --format xml
refuse 2 "'2027-02-30' is no date" ufab alpha audit export --format csv --from 2027-02-30
refuse 2 "--apel-version '0.5'" ufab alpha audit export --format apel --apel-version 0.5
refuse 2 "APEL 0.4 needs a benchmark" ufab alpha audit export --format apel --apel-version 0.4
refuse 2 "benchmark type 'FAST'" ufab alpha audit export --format apel --benchmark FAST=1
echo 'site = 5' >site.toml
refuse 1 "site.toml: site must be a text in quotes" ufab alpha audit export --format apel --config site.toml
refuse 2 "give --slurm" ufab alpha audit reconcile
refuse 1 "nothing.txt: cannot be opened" reconcile --sacct nothing.txt
refuse 1 "hooks/1.jsonl: sacct: the first line is no header" reconcile --sacct hooks/1.jsonl
refuse 1 "/nowhere/sacct: cannot be run" reconcile --sacct-program /nowhere/sacct
printf '#!/bin/sh\necho "slurmdbd is down" >&2\nexit 1\n' >broken
chmod +x broken
refuse 1 "slurmdbd is down" reconcile --sacct-program ./broken
echo "audit_usage: imports, corrections, exports and planted differences, all as they should be"
