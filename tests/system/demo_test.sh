#!/usr/bin/env bash
# The demo shows what the README promises, leaves nothing running, works twice, and ends cleanly on Ctrl-C.
: "${BIN:?folder of the binaries}"
set -euo pipefail
demo=$(cd "$(dirname "$0")/../../jobs/examples" && pwd)/demo.sh
state=$(mktemp -d "${TMPDIR:-/tmp}/ufab-demo-XXXXXX")
trap 'rm -rf "$state"' EXIT
fail() { echo "FAILED: $*" >&2; tail -n 30 "$state.out" >&2; rm -f "$state.out"; exit 1; }
running() { pgrep -f -- "$state/" >/dev/null; }

"$demo" "$BIN" "$state" >"$state.out" 2>&1 || fail "the first run"
running && fail "a process is left after the first run"
grep -q 'chain demo' "$state.out" || fail "no audit in the output"
unigram=$(sed -nE 's/.*frequencies has loss ([0-9.]+)$/\1/p' "$state.out")
# The last line of the trainer's output: final digest sha256:HEX step N loss X.
final=$(sed -nE 's/.*final digest .* loss ([0-9.]+).*/\1/p' "$state/work/train-gpt-1.out" | tail -n 1)
awk -v a="$final" -v b="$unigram" 'BEGIN {exit !(a > 0 && a < 0.85 * b)}' || fail "loss $final is not clearly below $unigram"
grep -q '1 re-executed with equal digests' "$state.out" || fail "no window was re-executed"
grep -q 'svg' "$state/report.html" || fail "the report has no picture"
grep -q 'none yet' "$state.out" && fail "the job's epoch brought no reward"
for home in alpha beta gamma; do
  "$BIN/ufab" --home "$state/$home" audit verify >/dev/null || fail "audit of $home after everything has stopped"
done

set -m  # a background job of a script without job control ignores SIGINT, which nobody at a terminal sees
"$demo" "$BIN" "$state" >"$state.out" 2>&1 &
demo_pid=$!
set +m
for _ in $(seq 300); do grep -q 'step [1-9]' "$state.out" && break; sleep 0.2; done
grep -q 'step [1-9]' "$state.out" || fail "the second run does not train"
kill -INT -- "-$demo_pid"
wait "$demo_pid" && fail "an interrupted demo must not succeed"
for _ in $(seq 50); do running || break; sleep 0.2; done
running && fail "a process is left after Ctrl-C: $(pgrep -af -- "$state/")"
rm -f "$state.out"
echo "demo: loss $final against $unigram of the frequencies; nothing left behind"
