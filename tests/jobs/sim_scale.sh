#!/usr/bin/env bash
# ufab sim scale as scripts use it: the same answer every time, a plot that is XML, and refusals.
set -euo pipefail
: "${BIN:?folder of the binaries}"

fail() { echo "FAILED: $*" >&2; exit 1; }
sim() { "$BIN/ufab" sim scale "$@"; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

small=(--validators 4,7 --delay-ms 20 --minutes 1 --verify-ns 50000 --no-bends)
out=$(sim "${small[@]}" --plot "$folder/plot.svg" --json) || fail "a small table"
[[ $out == *'"schema":"ufab.sim.scale/1","providers":10000'* ]] || fail "the head: $out"
[ "$(grep -o '"messages_per_block":' <<<"$out" | wc -l)" = 4 ] || fail "two numbers of validators, each with and without load: $out"
[ "$out" = "$(sim "${small[@]}" --json)" ] || fail "the same options gave something else"
xmllint --noout "$folder/plot.svg" || fail "the plot is no XML"
grep -q '20 ms, with load' "$folder/plot.svg" || fail "the plot has no legend"
[[ $(sim "${small[@]}") == *"(as given)"* ]] || fail "the text does not say where the cost of a signature is from"

refuse() { # refuse "part of the line" ARGUMENT…
  local part=$1 status=0 out
  shift
  out=$(sim "$@" 2>&1) || status=$?
  [ $status = 2 ] || fail "exit status $status of $*"
  [[ $out == *"$part"* ]] || fail "$* said: $out"
}
refuse "--validators is up to" --validators 4,x
refuse "--validators is up to" --validators 513
refuse "--delay-ms is up to" --delay-ms 5,
refuse "--minutes is 1 to" --minutes 0
refuse "--providers is at most" --providers 1000001
