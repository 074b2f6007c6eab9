#!/usr/bin/env bash
# A node with 100,000 waiting jobs (UFAB_QUEUE_JOBS for another number): how long it takes to list them and to make
# one pass of the policy over them, how long the ledger's lock is held for the queue's sake, and how long a
# submission takes meanwhile. UFAB_QUEUE_HOME names a home that queue_fill has filled before; otherwise one is made,
# which takes minutes. With UFAB_QUEUE_TRACE naming a trace (Standard Workload Format), also the mean bounded
# slowdown of our policy against EASY backfill, of the trace as it is and with shorter times between arrivals.
set -euo pipefail
BIN=@CMAKE_RUNTIME_OUTPUT_DIRECTORY@
filled=${UFAB_QUEUE_HOME:+$(realpath -- "$UFAB_QUEUE_HOME")}
source "@CMAKE_SOURCE_DIR@/tests/system/lib.sh"
count=${UFAB_QUEUE_JOBS:-100000}
line() { # line NAME OURS PEER UNIT AIM MET(1|0|null)
  awk -v name="$1" -v ours="$2" -v peer="$3" -v unit="$4" -v aim="$5" 'BEGIN {
    ratio = peer == "null" ? "null" : sprintf("%.4f", ours / peer)
    met = aim == "null" ? "null" : ours + 0 <= aim + 0 ? "true" : "false"
    printf "{\"group\":\"queue\",\"name\":\"%s\",\"ours\":%s,\"peer\":%s,\"unit\":\"%s\",\"ratio\":%s,\"aim\":%s,\"met\":%s}\n",
      name, ours, peer, unit, ratio, aim, met }'
}
best() { # best COMMAND…: the shortest of five
  for _ in 1 2 3 4 5; do seconds "$@"; echo; done | sort -n | head -n 1
}
seconds() { # seconds COMMAND…: prints how long it took
  local begin end
  begin=$(date +%s.%N)
  "$@" >"$state/output"
  end=$(date +%s.%N)
  awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.3f", b - a }'
}

if [ -n "${UFAB_QUEUE_TRACE-}" ]; then
  for load in 1.0 1.2 1.5 1.8; do
    "$BIN/ufab" sim queue --trace "$UFAB_QUEUE_TRACE" --load "$load" --json >"$state/sim"
    easy=$(grep -o '"policy":"easy".*"policy":"ufab"' "$state/sim")
    ours=$(grep -o '"policy":"ufab".*' "$state/sim")
    figure() { sed -E "s/.*\"$2\":([^,}]*).*/\1/" <<<"$1" | awk '{ printf "%.4f", $1 }'; }
    line "mean bounded slowdown, load x$load, EASY as the peer" "$(figure "$ours" bounded_slowdown_mean)" \
      "$(figure "$easy" bounded_slowdown_mean)" "" "$(figure "$easy" bounded_slowdown_mean)"
    line "utilisation, load x$load, EASY as the peer" "$(figure "$ours" utilisation)" "$(figure "$easy" utilisation)" "" null
    line "longest wait, load x$load, EASY as the peer" "$(figure "$ours" wait_max_s)" "$(figure "$easy" wait_max_s)" s null
  done
fi

homes+=(alpha)
if [ -n "$filled" ]; then
  ln -s "$filled" "$state/alpha"
else
  "$BIN/ufab" --home "$state/alpha" init --org alpha --solo >/dev/null
  "@CMAKE_BINARY_DIR@/bench/peer/queue_fill" "$state/alpha" "$count"
fi
ufab alpha up >/dev/null
queue() { ufab alpha status --json | grep -o '"queue":{[^}]*}'; }
all_read() { [ "$(queue | field waiting)" -ge $((count - 200)) ] && [ "$(queue | field unread)" -eq 0 ]; }
begin=$(date +%s.%N)
wait_until 300 all_read
line "a restarted node has read the specs of $count jobs" \
  "$(awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')" null s null
sleep 5
line "ufab queue, $count jobs, best of 5" "$(best ufab alpha queue)" null s 1
expect "the listing is whole" [ "$(wc -l <"$state/output")" -gt $((count - 200)) ]
line "ufab queue --json, $count jobs, best of 5" "$(best ufab alpha queue --json)" null s 1
printf '#!/bin/sh\n#SBATCH --hold\ntrue\n' >"$state/held.sh"
alone=$(for i in 1 2 3 4 5 6 7 8 9 10 11; do seconds ufab alpha submit "$state/held.sh"; echo; done | sort -n | sed -n 6p)
line "ufab submit with $count waiting, median" "$alone" null s null
(for i in 1 2 3; do ufab alpha queue >/dev/null; done) &
beside=$(for i in 1 2 3 4 5 6 7; do seconds ufab alpha submit "$state/held.sh"; echo; done | sort -n | tail -n 1)
wait $!
line "ufab submit while the queue is listed, worst of 7" "$beside" null s 1
line "one pass of the policy, longest" "$(queue | field longest_pass_us | awk '{ printf "%.3f", $1 / 1e6 }')" null s 1
line "the ledger's lock for the queue's refresh, longest" "$(queue | field longest_read_us | awk '{ printf "%.4f", $1 / 1e6 }')" null s null
