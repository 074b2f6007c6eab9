#!/usr/bin/env bash
# Enrolment that others can check, with real nodes and short epochs: benchmarks are filed, checked, renewed, expire
# and are refuted; a provider that takes up no leases is suspended, and comes back.
source "$(dirname "$0")/lib.sh"
# An idle epoch is two seconds; a benchmark takes a second and a half and counts for twenty epochs.
UFAB_CHAIN_OPTIONS="--epoch-blocks 10 --param bench_epochs=20 bench_ms_min=1000 verify_deadline_blocks=200
  lease_deadline_ms=1500 points_lease_missed=40 points_suspend=60 points_warn=20 suspension_epochs=6
  points_benchmark_expired=1 points_benchmark_refuted=100"
start_federation alpha beta gamma
status_of() { ufab chain provider status "$1"; }
provider_json() { ufab chain provider status "$1" --json; }
says() { grep -qE -- "$2" <<<"$(status_of "$1")"; }
valid() { provider_json "$1" | grep -q '"valid":true'; }
checked() { says "$1" 'check: good by'; }

# Enrolled with a fresh benchmark, re-executed by somebody else.
expect "no leases before a benchmark, or with one" says beta "leases +(may come|none: it has no benchmark yet)"
for name in alpha beta gamma; do wait_until 40 valid $name; done
for name in alpha beta gamma; do wait_until 60 checked $name; done
wait_until 10 says beta "leases +may come"
# The ledger credits no more than was shown, whatever the offer claims.
echo '{"schema":"ufab.provider-bench/1","mflops":900000000,"tokens_per_s":1,"backend":"test","threads":2}' \
  >"$state/beta/speed.json"
ufab beta provider enroll >/dev/null
speed=$(status_of beta | sed -nE 's/^speed +([0-9]+)\.[0-9] GFLOP.* counted, 900000.0 claimed/\1/p')
expect "the claim does not count" [ "${speed:-999999}" -lt 100000 ]
expect "what was shown does" [ "${speed:-0}" -gt 0 ]
expect "an auditor comes to the same digests" ufab chain audit bench --lanes 0 >audit
expect "of all lanes" [ "$(grep -c 'the same digest' audit)" -ge 6 ]
expect "the table has it" contains "$(ufab chain provider status)" "good"

# A job runs, and benchmarks are renewed before they expire, by themselves.
cat >hello.sh <<'SCRIPT'
#!/bin/bash
#SBATCH --ntasks=1 --time=1
echo hello
SCRIPT
job=$(ufab alpha submit --parsable --prefer=beta hello.sh)
ufab alpha wait -q "$job"
expect "its provider knows whose it was" equal "$(cat "$state/beta/jobs/$job/foreign")" alpha
expect "its owner has it as its own" [ ! -e "$state/alpha/jobs/$job/foreign" ]
first=$(provider_json gamma | field epoch_end)
renewed() { local now; now=$(provider_json gamma | field epoch_end); [ "$now" -gt "$first" ]; }
wait_until 60 renewed
# A node that is killed while its benchmark runs finds it again, and files that one.
under_way() { compgen -G "$state/gamma/bench/[0-9]*"; }
wait_until 60 under_way
sleep 0.5
challenge=$(basename "$(under_way)")
kill -9 "$(pgrep -f -- "ufabd --home $state/gamma\$")"
ufab gamma up >/dev/null
wait_until 30 says gamma "challenge of block $challenge;"

# A false digest: beta's trainer changes its result. The drawn verifier refutes it, an auditor names it.
cat >false-trainer <<SCRIPT
#!/bin/bash
"$BIN/ufab-train" "\$@" || exit \$?
if [ -f result.json ] && [[ "\$PWD" == */bench/* ]] && [ "\${OMPI_COMM_WORLD_RANK:-0}" = 0 ]; then
  # Every lane, so that any draw finds it: the first digit becomes another one.
  sed -i 's/sha256:[0-7]/sha256:x/g; s/sha256:[89a-f]/sha256:0/g; s/sha256:x/sha256:8/g' result.json
fi
SCRIPT
chmod +x false-trainer
ufab beta provider init --trainer "$PWD/false-trainer" >/dev/null
refuted() { says beta "benchmark_refuted"; }
file_again() { ufab beta provider bench --file >/dev/null 2>&1 || true; refuted; }
wait_until 90 file_again  # and judged at the start of the next block
wait_until 10 says beta "leases +none: it is suspended until epoch"
expect "the speed that counts is none" says beta "^speed +0.0 GFLOP/s counted"
status=0
ufab chain audit bench beta --lanes 0 >audit || status=$?
expect "audit bench fails" equal "$status" 1
expect "and names the record" grep -qE "beta +block [0-9]+ record [0-9]+ +lane [01] of 2, .*WRONG: the ledger has" audit
expect "the verifier was right" [ "$(grep -c 'the check of lane' audit)" -eq 0 ]
expect "the ledger itself is in order: it holds claims and what followed" ufab chain audit verify >/dev/null
expect "the index has the fault" contains "$(ufab chain provider status beta --json)" '"kind":"benchmark_refuted"'
ufab beta provider init --trainer "$BIN/ufab-train" >/dev/null
wait_until 60 says beta "standing +(good|warned)"
wait_until 60 says beta "leases +may come"

# Expiry: gamma's node is down, so nothing renews. No new leases; back up, it renews and is taken again.
ufab gamma down >/dev/null
wait_until 90 says gamma "leases +none: it has no valid benchmark since epoch"
expect "the fault is noted" says gamma "fault +benchmark_expired"
job=$(ufab alpha submit --parsable --prefer=gamma hello.sh)
ufab alpha wait -q "$job"
expect "gamma gets no lease meanwhile" [ "$(ufab alpha show "$job" | grep -cE '^  gamma ')" -eq 0 ]
ufab gamma up >/dev/null
wait_until 60 says gamma "leases +may come"
job=$(ufab alpha submit --parsable --prefer=gamma hello.sh)
ufab alpha wait -q "$job"
expect "gamma is taken again" [ "$(ufab alpha show "$job" | grep -cE '^  gamma ')" -eq 1 ]

# A provider that is named and takes up no lease: one fault for each owner and epoch, then suspended.
ufab gamma provider bench --file >/dev/null 2>&1 || true
wait_until 30 valid gamma
ufab gamma down >/dev/null
a=$(ufab alpha submit --parsable --prefer=gamma hello.sh)
b=$(ufab beta submit --parsable --prefer=gamma hello.sh)
missed() { says gamma "fault +lease_missed .*job $1, seen by $2"; }
wait_until 20 missed "$a" alpha
wait_until 20 missed "$b" beta
wait_until 20 says gamma "standing +suspended, [0-9]+ points, suspended 1 times, until epoch"
expect "the table says so" grep -qE "^gamma .* suspended" <(ufab chain provider status)
ufab alpha wait -q "$a"
expect "its job ran elsewhere" contains "$(ufab alpha show "$a")" "settled: done"
ufab beta wait -q "$b"
ufab gamma up >/dev/null
wait_until 90 says gamma "standing +(warned|good)"
wait_until 60 says gamma "leases +may come"
job=$(ufab alpha submit --parsable --prefer=gamma hello.sh)
ufab alpha wait -q "$job"
expect "gamma is back" [ "$(ufab alpha show "$job" | grep -cE '^  gamma ')" -eq 1 ]

# Everything derives anew, on every replica, and SQL has it.
for name in chain alpha beta gamma; do ufab $name audit verify >/dev/null; done
if command -v sqlite3 >/dev/null; then
  in_table() {
    [ "$(sqlite3 "$state/chain/chain/index.sqlite" "SELECT count(*) FROM fault WHERE kind='$1'")" -ge 1 ]
  }
  # The index is written a little later than the log.
  for kind in benchmark_expired benchmark_refuted lease_missed; do wait_until 20 in_table $kind; done
fi
echo "enrolment: benchmarks are checked, refuted, renewed and expire; the ladder goes up and down"
