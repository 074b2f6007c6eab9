#!/usr/bin/env bash
# A node that joins a long chain takes part at once, with a snapshot of the state that it has checked; the blocks before
# it follow. Who sends a wrong piece is found out, and another one asked.
source "$(dirname "$0")/lib.sh"
export HOME=$state
for i in 1 2 3 4; do homes+=(net/node$i); done
"$BIN/ufab" testnet up --validators 4 --block-interval-ms 100 --epoch-blocks 20 --home "$state/net" >/dev/null
height() { ufab "$1" node status --json | field height; }
reached() { [ "$(height "$1")" -ge "$2" ]; }
ticket=$(ufab net/node1 status | sed -n 's/^ticket *//p')
ufab net/node2 account transfer org3 1.5 >/dev/null
wait_until 120 reached net/node1 300

homes+=(late early)
ufab late init --org late --join "$ticket" >/dev/null
ufab late up >/dev/null
begun() { grep -q "begins with the state after block" "$state/$1/node.log"; }
wait_until 20 begun late
base=$(sed -n 's/.*begins with the state after block \([0-9]*\).*/\1/p' "$state/late/node.log")
expect "it began near the head" [ "$base" -ge 200 ]
ufab net/node3 account transfer late 10 >/dev/null
has_money() { ufab "$1" account balance | grep -q ' 10 UNC'; }
wait_until 20 has_money late
ufab late account transfer org3 4 >/dev/null
expect "it pays" contains "$(ufab late account balance)" "6 UNC"

# A node that goes down half-way goes on where it was.
ufab late down >/dev/null
ufab late up >/dev/null
whole() { [ ! -e "$state/$1/chain/recent" ] && ! ufab "$1" node status | grep -q '^history'; }
wait_until 60 whole late
ufab late down >/dev/null
output=$(ufab late audit verify)
expect "an auditor accepts all of it" contains "$output" "$(ufab net/node1 status --json | field chain_id)"
ufab late up >/dev/null
at=$(height net/node1)
wait_until 20 reached late "$at"

# It need not be.
ufab early init --org early --join "$ticket" --no-snapshot >/dev/null
ufab early up >/dev/null
at=$(height net/node1)
wait_until 60 reached early "$at"
expect "it began with block 0" eval '! begun early'
ufab early down >/dev/null

# The node of the ticket changes a byte of every snapshot that it hands out: then the blocks must do.
while sleep 0.02; do
  for file in "$state"/net/node1/chain/snapshots/*/0; do
    [ -f "$file" ] && printf '\377' | dd of="$file" bs=1 seek=300 conv=notrunc 2>/dev/null
  done
done &
liar=$!
homes+=(wary)
ufab wary init --org wary --join "$ticket" >/dev/null
ufab wary up >/dev/null
at=$(height net/node4)
wait_until 60 reached wary "$at"
kill $liar
expect "what was wrong" contains "$(cat "$state/wary/node.log")" "snapshot: chunk 0: "
ufab wary down >/dev/null
ufab wary audit verify >/dev/null
"$BIN/ufab" testnet down --home "$state/net" >/dev/null
