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

[ "$(sim --mutant list | wc -l)" -ge 8 ] || fail "less than eight mutants"
status=0; out=$(sim --seeds 1..200 --seconds 30 --mutant replayed-receipt) || status=$?
[ $status = 1 ] || fail "a planted bug: exit status $status"
[[ $out =~ seed\ ([0-9]+)\ fails:.*accepted\ twice ]] || fail "no failing seed: $out"
seed=${BASH_REMATCH[1]}
again=$(sim --seeds "$seed..$seed" --seconds 30 --mutant replayed-receipt) && fail "seed $seed does not fail alone"
[ "${again##*fails: }" = "${out##*fails: }" ] || fail "seed $seed fails differently alone: $again"
status=0; out=$(sim --mutant none-such 2>&1) || status=$?
[ $status = 2 ] && [[ $out == *"no mutant 'none-such'"* ]] || fail "an unknown mutant: $status, $out"
