#!/usr/bin/env bash
# `ufab testnet`: four nodes that make one chain together, as whoever wants to try it starts them. One of them may be
# missing; a wrong number, a second one in the same place and a testnet that is none get one clear line.
source "$(dirname "$0")/lib.sh"
export HOME=$state
for i in 1 2 3 4; do homes+=(net/node$i); done
net() { "$BIN/ufab" testnet "$@" --home "$state/net"; }

output=$(net up --validators 4 --block-interval-ms 300)
expect "it says what it does" contains "$output" "4 validators make the chain"
status=$(net status)
expect "all vote" equal "$(grep -c ' votes ' <<<"$status")" 4
connected=$(net status --json | grep -oE '"peers_connected":[0-9]+' | sort -u)
expect "all are connected" equal "$connected" '"peers_connected":3'
expect "peers for people" contains "$(ufab net/node2 node peers)" "org3"
expect "validator status" contains "$(ufab net/node2 validator status)" "org4"

# A record that one node takes is on every node's chain.
ufab net/node3 account transfer org1 1.5 >/dev/null
height=$(ufab net/node3 node status --json | field height)
reached() { [ "$(ufab "$1" node status --json | field height)" -ge "$2" ]; }
for i in 1 2 4; do wait_until 20 reached net/node$i "$height"; done

# One is missing: the others go on, and it comes back.
ufab net/node2 down >/dev/null
expect "the missing one is shown" contains "$(net status || true)" " down "
ufab net/node4 account transfer org1 2 >/dev/null
height=$(ufab net/node4 node status --json | field height)
ufab net/node2 up >/dev/null
wait_until 30 reached net/node2 "$height"

# Somebody who makes no blocks joins, and needs the node of its ticket no more: any validator's will do.
homes+=(late)
ufab late init --org late --join "$(ufab net/node1 status | sed -n 's/^ticket *//p')" >/dev/null
ufab late up >/dev/null
ufab net/node3 account transfer late 10 >/dev/null
ufab net/node1 down >/dev/null
has_money() { ufab late account balance | grep -q ' 10 UNC'; }
wait_until 20 has_money
ufab late account transfer org3 4 >/dev/null
expect "it pays by way of others" contains "$(ufab late account balance)" "6 UNC"
expect "it follows" contains "$(ufab late node status)" "follows the validators"
ufab late down >/dev/null

# So does one who joins while the first node of the ticket is down, with a ticket that still says where the others are.
ticket=$(ufab net/node3 status | sed -n 's/^ticket *//p')
expect "the ticket names the validators" equal "$(tr -cd , <<<"$ticket" | wc -c)" 3
homes+=(later)
output=$(ufab later init --org later --join "${ticket%%,*}" 2>&1) && fail "the only node of that ticket is down"
expect "why not" contains "$output" "no node of the ticket will do"
ufab later init --org later --join "$ticket" >/dev/null
ufab later up >/dev/null
ufab net/node3 account transfer later 10 >/dev/null
has_money_later() { ufab later account balance | grep -q ' 10 UNC'; }
wait_until 20 has_money_later
ufab later down >/dev/null
ufab net/node1 up >/dev/null

# Offline, from the files alone.
output=$(ufab net/node2 audit verify)
expect "an auditor accepts it" contains "$output" "$(ufab net/node1 status --json | field chain_id)"

# A program learns where a bundle is wrong, as a person does.
ufab net/node2 audit bundle -o "$state/bundle" >/dev/null
verify() { ufab net/node2 audit verify --bundle "$state/bundle" --json 2>/dev/null; }
verify >/dev/null
segment=$(ls "$state"/bundle/log/* | head -1)
printf 'damage' | dd of="$segment" bs=1 seek=5000 conv=notrunc 2>/dev/null
output=$(verify) && fail "a damaged block"
block=$(field block <<<"$output")
expect "which block" contains "$output" "\"error\":\"block $block"
[ "$block" -gt 0 ] || fail "a block's number: $block"
printf 'damage' | dd of="$state/bundle/checkpoint" bs=1 seek=20 conv=notrunc 2>/dev/null
output=$(verify) && fail "a damaged checkpoint"
expect "none" contains "$output" '"block":null,"record":null'

output=$(net up --validators 5 2>&1) && fail "another number of nodes in the same place"
expect "why not" contains "$output" "has 4 nodes"
output=$("$BIN/ufab" testnet up --validators 1 --home "$state/one" 2>&1) && fail "one node is no testnet"
expect "which numbers" contains "$output" "2 to"
output=$("$BIN/ufab" testnet status --home "$state/nowhere" 2>&1) && fail "no testnet"
expect "that there is none" contains "$output" "no testnet is there"
expect "down" contains "$(net down)" "4 nodes are down"
expect "all are down" equal "$(net status | grep -c ' down ')" 4
expect "up again" contains "$(net up)" "4 nodes are up again"
wait_until 30 eval '[ "$(net status | grep -c " votes ")" -eq 4 ]'
net down >/dev/null
