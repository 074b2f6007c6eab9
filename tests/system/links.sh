#!/usr/bin/env bash
# Providers measure the links between them and say so on the ledger, and a gang is placed where the exchange is fast:
# not on the cheapest pair while its link is slow, on that pair once the link is mended.
source "$(dirname "$0")/lib.sh"
UFAB_CHAIN_OPTIONS="--epoch-blocks 5"
start_federation near beside
# A third one, cheaper, behind a slow link: the address on the ledger is a relay's.
port=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo 400000 >rate
python3 "$examples/../../tests/system/slow_link.py" "$port" rate relay-port &
relay_pid=$!
wait_until 10 [ -s relay-port ]
homes+=(far)
ticket=$(ufab chain status | sed -n 's/^ticket *//p')
ufab far init --org far --listen "127.0.0.1:$(cat relay-port)" --join "$ticket" >/dev/null
sed -i "s/^port = .*/port = $port/" "$state/far/config.toml"
ufab far up >/dev/null
ufab chain account transfer far 1000 >/dev/null
ufab far account stake 200 >/dev/null
cp "$state/near/speed.json" "$state/far/speed.json"
price() { ufab "$1" provider init --slots 2 --memory 2048 --price-tflop "$2" --link-check 2 >/dev/null; }
price near 0.02
price beside 0.02
price far 0.012
for name in near beside far; do ufab $name provider enroll >/dev/null; done

# link BY OF FIELD: of BY's report. kbyte_per_s is its own word, counts_kbyte_per_s what follows from both ends'.
link() { ufab chain provider status "$1" --json | grep -oE "\"organisation\":\"$2\",\"rtt_us\":[^}]*" | field "$3"; }
is_above() { local value; value=$(link "$1" "$2" "$3") && [ -n "$value" ] && [ "$value" -gt "$4" ]; }
is_below() { local value; value=$(link "$1" "$2" "$3") && [ -n "$value" ] && [ "$value" -lt "$4" ]; }
wait_until 25 is_above near beside counts_kbyte_per_s 5000
for name in near beside; do wait_until 25 is_below $name far counts_kbyte_per_s 1000; done
wait_until 25 is_above far near kbyte_per_s 5000
expect "the far end's own word makes it no better" is_below far near counts_kbyte_per_s 1000
expect "for people" grep -qE '^link +to near: .* MB/s, .* ago; counts as .* by what the other side says' \
  <(ufab beside provider status far)

training_files 6 3
sed -i 's/^micro_batch = .*/micro_batch = 16/' tiny.toml
reference=$("$BIN/ufab" train --config tiny.toml --data corpus.h5 --out "$state/reference-2" -- --quiet --resume none | final_digest)
offer=$(ufab chain submit --test-only --providers=3 train.sh)
expect "the offer names the link that a step waits for" grep -qE 'slowest link (far to .*|.* to far): .* MB/s$' <<<"$offer"
trains_on() { # trains_on JOB PROVIDER…
  local job=$1 name
  shift
  ufab chain wait -q "$job"
  expect "job $job has two members" [ "$(ufab chain show "$job" | grep -cE '^  (near|beside|far) ')" -eq 2 ]
  for name in "$@"; do expect "job $job runs on $name" grep -qE "^  $name " <(ufab chain show "$job"); done
  expect "its model is what one machine trains" equal "$(cat "$state"/*/jobs/"$job"/output | final_digest)" "$reference"
}
trains_on "$(ufab chain submit --parsable --providers=2 train.sh)" near beside

# The link is mended; what it is worth follows, and the cheaper provider is taken.
echo 0 >rate
for name in near beside; do wait_until 30 is_above $name far counts_kbyte_per_s 5000; done
trains_on "$(ufab chain submit --parsable --providers=2 train.sh)" far

# A peer that cannot be reached is said, with the cure.
kill "$relay_pid"
fails() { grep -qF "note  link to far cannot be measured, failures in a row: " <<<"$(ufab near provider check)"; }
wait_until 20 fails
expect "the cure names the address" grep -qF "let this machine connect to 127.0.0.1:$(cat relay-port)" \
  <(ufab near provider check || true)
expect "it is nobody else's trouble" [ "$(ufab near provider check | grep -c 'link to beside')" -eq 0 ]
for name in chain near far; do ufab $name audit verify >/dev/null; done
if command -v sqlite3 >/dev/null; then
  has_rows() { [ "$(sqlite3 "$state/chain/chain/index.sqlite" "SELECT count(DISTINCT organisation) FROM link_report")" -eq 3 ]; }
  wait_until 10 has_rows
fi
echo "links: measured, reported, and what a gang is placed by"
