#!/usr/bin/env bash
# ufab sim consensus as scripts use it: exit status, the first failing seed, the same answer every time.
set -euo pipefail
: "${BIN:?folder of the binaries}"

fail() { echo "FAILED: $*" >&2; exit 1; }
sim() { "$BIN/ufab" sim consensus "$@"; }

out=$(sim --seeds 1..3 --json) || fail "three sound seeds"
[[ $out == *'"schema":"ufab.sim.consensus/1","seed_first":1,"seed_last":3,"seeds_run":3'* ]] || fail "counts: $out"
[[ $out == *'"failed_seed":null'* ]] || fail "a violation: $out"
[ "$out" = "$(sim --seeds 1..3 --json)" ] || fail "the same seeds gave something else"
[[ $(sim --seeds 1..3) == "3 seeds of 1..3, "*"no violation" ]] || fail "the text says neither count nor range"

[ "$(sim --mutant list | wc -l)" -ge 8 ] || fail "less than eight mutants"
status=0; out=$(sim --seeds 1..200 --mutant unweighted-quorum) || status=$?
[ $status = 1 ] || fail "a planted bug: exit status $status"
[[ $out =~ seed\ ([0-9]+)\ fails ]] || fail "no failing seed: $out"
seed=${BASH_REMATCH[1]}
again=$(sim --seeds "$seed..$seed" --mutant unweighted-quorum) && fail "seed $seed does not fail alone"
[ "${again##*fails: }" = "${out##*fails: }" ] || fail "seed $seed fails differently alone: $again"

refuse() { # refuse "part of the line" ARGUMENT…
  local part=$1 status=0 out
  shift
  out=$(sim "$@" 2>&1) || status=$?
  [ $status = 2 ] || fail "exit status $status of $*"
  [[ $out == *"$part"* ]] || fail "$* said: $out"
}
refuse "--seeds is A..B" --seeds 7
refuse "--seeds is A..B" --seeds 1..x
refuse "A is at most B" --seeds 9..3
refuse "--hours is 1 to" --hours 0
refuse "no mutant 'none-such'" --mutant none-such
