#!/usr/bin/env bash
# Seven organisations' nodes in network namespaces of their own, over a network that delays and loses packets, make one
# chain. They are killed and started again at random under load, and one finds its ledger damaged. In the end they
# agree, everything that was acknowledged is there once, and the damaged one has repaired itself from the others.
# UFAB_CHAOS_S: how long (40 s; ten minutes were run by hand). UFAB_VALIDATORS: how many nodes (7).
source "$(dirname "$0")/lib.sh"
count=${UFAB_VALIDATORS:-7}
chaos_s=${UFAB_CHAOS_S:-40}
prefix=ufab$$n
# Needs the right to make network namespaces and devices.
can_make_networks() {
  [ "$(id -u)" -eq 0 ] && [ -c /dev/net/tun ] && command -v ip >/dev/null && command -v sqlite3 >/dev/null || return 1
  ip netns add ${prefix}0 2>/dev/null || return 1
  local made=0
  ip netns exec ${prefix}0 ip tuntap add dev u0 mode tun 2>/dev/null || made=1
  ip netns del ${prefix}0
  return $made
}
can_make_networks || { echo "cannot make network namespaces here" >&2; exit 77; }
RANDOM=${UFAB_SEED:-1}
cd "$state"
echo "20 10 1" >settings
names=()
for ((i = 1; i <= count; ++i)); do
  ip netns add $prefix$i
  names+=("$prefix$i")
done
python3 "$examples/../../tests/system/lossy_net.py" settings "${names[@]}" >net.out 2>net.err &
net_pid=$!
end_network() {
  kill $net_pid 2>/dev/null || true
  for name in "${names[@]}"; do ip netns del "$name" 2>/dev/null || true; done
}
load_pids=
finish() {
  local status=$? i pid
  set +e
  touch stop
  for pid in $load_pids; do wait $pid; done
  for ((i = 1; i <= count; ++i)); do
    pid=$(node_pid $i)
    [ -z "$pid" ] || kill -9 "$pid"
    [ $status -eq 0 ] || { echo "--- node.log of n$i"; tail -n 5 "n$i/node.log"; } >&2
  done
  end_network
  (exit $status)
  clean_up
}
trap finish EXIT
wait_until 10 grep -q ready net.out

in_place() { local i=$1; shift; ip netns exec $prefix$i "$BIN/ufab" --home "$state/n$i" "$@"; }
node_pid() { # of the node of a home: the process that holds its lock
  local pid
  for pid in $(ip netns pids $prefix$1); do
    if tr '\0' ' ' 2>/dev/null </proc/$pid/cmdline | grep -q "ufabd --home $state/n$1 "; then echo "$pid"; fi
  done
}
node() { in_place "$1" node status --json | field "$2"; }

in_place 1 init --solo --org org1 --listen 10.77.0.1:7000 --block-interval-ms 500 --epoch-blocks 20 \
  --param validators_min=$count >/dev/null
in_place 1 up >/dev/null
ticket=$(in_place 1 status | sed -n 's/^ticket *//p')
for ((i = 2; i <= count; ++i)); do
  in_place $i init --join "$ticket" --org org$i --listen 10.77.0.$i:7000 >/dev/null
  in_place $i up >/dev/null
  in_place 1 account transfer org$i 10000 >/dev/null
done
for ((i = 1; i <= count; ++i)); do
  in_place $i account stake $((1000 + 100 * i)) >/dev/null
  in_place $i validator stand >/dev/null
done
votes() { [ "$(node "$1" votes)" = true ]; }
for ((i = 1; i <= count; ++i)); do wait_until 60 votes $i; done
connected() { [ "$(node "$1" peers_connected)" -eq $((count - 1)) ]; }
for ((i = 1; i <= count; ++i)); do wait_until 30 connected $i; done
echo "$count validators vote"

# Load: each organisation pays the next one, as fast as that becomes final: 1 micro-UNC, then 2, … The amounts tell the
# payments apart; those that were acknowledged are noted.
load() {
  local i=$1 n=0
  while [ ! -e stop ]; do
    n=$((n + 1))
    if timeout 60 ip netns exec $prefix$i "$BIN/ufab" --home "$state/n$i" account transfer org$((i % count + 1)) \
      "$(printf '0.%06d' $n)" >/dev/null 2>&1; then echo "$i $n" >>acknowledged.$i; else sleep 0.2; fi
  done
}
for ((i = 1; i <= count; ++i)); do
  load $i &
  load_pids="$load_pids $!"
done

# Chaos: kill -9 and start again; at most two at a time are down, so that there is a quorum.
end=$((SECONDS + chaos_s))
kills=0
while [ $SECONDS -lt $end ]; do
  a=$((RANDOM % count + 1))
  b=$(((a + RANDOM % (count - 1)) % count + 1))
  kill -9 "$(node_pid $a)"
  kills=$((kills + 1))
  if [ $((RANDOM % 3)) -eq 0 ] && [ $a -ne $b ]; then kill -9 "$(node_pid $b)"; kills=$((kills + 1)); fi
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
  in_place $a up >/dev/null
  [ -n "$(node_pid $b)" ] || in_place $b up >/dev/null
  sleep "$((RANDOM % 4)).$((RANDOM % 10))"
done
echo "$kills kills"

# One ledger rots in the middle while its node is down.
victim=$((RANDOM % count + 1))
kill -9 "$(node_pid $victim)"
segment=$(ls "$state/n$victim/chain/log/"*.seg | head -n 1)
size=$(stat -c %s "$segment")
printf '\xff\x00\xff' | dd of="$segment" bs=1 seek=$((size / 3)) conv=notrunc status=none
sleep 1
in_place $victim up >/dev/null
wait_until 10 grep -q "the ledger's log was damaged" "$state/n$victim/node.log"
grep -o "the ledger's log was damaged.*" "$state/n$victim/node.log"

touch stop
for pid in $load_pids; do wait $pid || true; done
load_pids=
for ((i = 1; i <= count; ++i)); do wait_until 90 votes $i; done
goal=$(($(node 1 height) + 10))
reached() { [ "$(node "$1" height)" -ge $goal ]; }
for ((i = 1; i <= count; ++i)); do wait_until 90 reached $i; done
for ((i = 1; i <= count; ++i)); do in_place $i down >/dev/null; done

# Offline: every chain holds, they agree at the height that all have, and what was acknowledged is there, once.
for ((i = 1; i <= count; ++i)); do
  ufab n$i audit verify >verified.$i || fail "the chain of node $i does not hold"
  equal "$(sqlite3 "$state/n$i/chain/index.sqlite" "SELECT hex(hash) FROM block WHERE height = $goal")" \
    "$(sqlite3 "$state/n1/chain/index.sqlite" "SELECT hex(hash) FROM block WHERE height = $goal")" ||
    fail "node $i has another chain"
done
cat acknowledged.* | sort >acknowledged
sqlite3 -separator ' ' "$state/n1/chain/index.sqlite" "SELECT r.signer, m.amount FROM movement m JOIN record r
  ON r.height = m.height AND r.position = m.position WHERE r.type = 'transfer' AND m.amount < 1000000" | sort >on_chain
equal "$(sort -u on_chain | wc -l)" "$(wc -l <on_chain)" || fail "a payment is on the chain twice"
missing=$(comm -23 acknowledged on_chain)
equal "$missing" "" || fail "acknowledged payments are not on the chain"
echo "$(wc -l <acknowledged) payments acknowledged, $(wc -l <on_chain) on the chain of $goal blocks, all nodes agree"
