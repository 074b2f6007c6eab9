#!/usr/bin/env bash
# ufab sim ledger as scripts use it: exit status, counts, the same answer every time.
set -euo pipefail
: "${BIN:?folder of the binaries}"

fail() { echo "FAILED: $*" >&2; exit 1; }
sim() { "$BIN/ufab" sim ledger "$@"; }

out=$(sim --seeds 1..2 --seconds 10 --json) || fail "two sound seeds"
[[ $out == *'"schema":"ufab.sim.ledger/1","seed_first":1,"seed_last":2,"seeds_run":2'* ]] || fail "counts: $out"
[[ $out == *'"failed_seed":null'* ]] || fail "a violation: $out"
[ "$out" = "$(sim --seeds 1..2 --seconds 10 --json)" ] || fail "the same seeds gave something else"
[[ $(sim --seeds 3..3 --seconds 5 --validators 5) == "1 seeds of 3..3, "*"no violation" ]] || fail "the text"
for words in "--seeds 7" "--seeds 9..3" "--validators 1" "--seconds 0"; do
  status=0; sim $words >/dev/null 2>&1 || status=$?
  [ $status = 2 ] || fail "exit status $status of $words"
done
