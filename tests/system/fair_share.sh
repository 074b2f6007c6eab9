#!/usr/bin/env bash
# Organisations that share no node in one queue: two owners and two providers. Whoever submits twenty jobs first does
# not stand before the first job of another; who waits is told why; and gangs that cross on two providers, each of
# which has room for one of them, all run.
source "$(dirname "$0")/lib.sh"
start_federation shop mill
ticket=$(ufab chain status | sed -n 's/^ticket *//p')
for name in anna bob; do
  homes+=("$name")
  ufab "$name" init --org "$name" --join "$ticket" >/dev/null
  ufab "$name" up >/dev/null
  ufab chain account transfer "$name" 1000 >/dev/null
done
funded() { [ "$(ufab "$1" account balance | awk -v o="$1" '$1 == o {print $2}')" = 1000 ]; }
for name in anna bob; do wait_until 10 funded "$name"; done
ufab mill provider drain >/dev/null
drained() { ufab anna account balance --all --json | grep -q '"status":"draining"'; }
wait_until 10 drained

# One provider with two processors. Every script notes whose it is when it starts.
order=$state/work/order
: >"$order"
for name in anna bob; do
  printf '#!/bin/sh\necho %s >>%s\nsleep 1\n' "$name" "$order" >"$name.sh"
done
jobs_of_anna=() jobs_of_bob=()
for _ in $(seq 20); do jobs_of_anna+=("$(ufab anna submit --parsable -n 1 -t 1 anna.sh)"); done
wait_until 20 [ -s "$order" ]
for _ in $(seq 5); do jobs_of_bob+=("$(ufab bob submit --parsable -n 1 -t 1 bob.sh)"); done
before=$(wc -l <"$order")
expect "anna is not done when bob comes" [ "$before" -lt 16 ]
waits_with() { # waits_with HOME REASON…: some job of the home is pending for one of these reasons
  local home=$1 reason rows
  rows=$(ufab "$home" queue --parsable)
  shift
  for reason in "$@"; do grep -q "|PENDING|.*|$reason\$" <<<"$rows" && return 0; done
  return 1
}
wait_until 10 waits_with anna Priority Resources
for job in "${jobs_of_bob[@]}"; do ufab bob wait -q "$job"; done
for job in "${jobs_of_anna[@]}"; do ufab anna wait -q "$job"; done
expect "every job ran once" equal "$(sort "$order" | uniq -c | tr -s ' ' | tr '\n' ',')" " 20 anna, 5 bob,"
last=$(grep -n bob "$order" | tail -n 1 | cut -d: -f 1)
# Turns about: of what started until bob's fifth, no more than as many again are anna's, and what was under way.
expect "bob's five are served in turn with anna's (there were $before, bob's last is number $last)" \
  [ "$last" -le $((before + 5 + 5 + 3)) ]
expect "anna has used more than bob" [ "$(ufab anna account balance | awk '$1 == "anna" {print $NF}')" -gt \
  "$(ufab bob account balance | awk '$1 == "bob" {print $NF}')" ]
expect "what her jobs cost is on her account" contains "$(ufab anna status --json)" '"budget":{"limit_micro":0,"settled_micro":'
expect "and nothing is held any more" contains "$(ufab anna status --json)" '"committed_micro":0,"in_flight_micro":0}'

# Gangs of two on both providers, each of which has room for one: three of each owner, at the same time.
ufab mill provider resume >/dev/null
resumed() { ! drained; }
wait_until 10 resumed
training_files 4 2
sed -i 's/--ntasks=1/--ntasks=2/; s/--verify=exact:100%/--verify=exact:1% --providers=2 --shares=4:4/' train.sh
for name in anna bob; do
  (for _ in 1 2 3; do ufab "$name" submit --parsable train.sh; done >"gangs-$name") &
done
wait
for name in anna bob; do
  for job in $(cat "gangs-$name"); do
    timeout 120 "$BIN/ufab" --home "$state/$name" wait -q "$job" || fail "the gang $job of $name did not run"
    expect "the gang $job came to the right result" equal "$(cat "$state"/*/jobs/"$job"/output | final_digest)" "$reference"
  done
done
ufab chain audit verify >/dev/null
