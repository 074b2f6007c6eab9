#!/usr/bin/env bash
# A real cluster is benchmarked on all its processors, loses nodes and gets them back: the offer on the ledger follows,
# and with nothing left the provider is drained with the reason, and resumed.
source "$(dirname "$0")/slurm_lib.sh"
UFAB_CHAIN_OPTIONS="--param bench_epochs=100000 bench_ms_min=2000"
start_slurm_federation alpha
ufab alpha provider init --capacity-check 1 >/dev/null
offer() { ufab chain provider status alpha | sed -nE 's/^offers +([0-9]+) processors, ([0-9]+) MiB.*/\1 \2/p'; }
offers() { equal "$(offer)" "$1"; }
status_is() { ufab chain provider status alpha | grep -qE "^provider +alpha, $1$"; }
set_nodes() { slurm_of alpha scontrol update NodeName="$1" State="$2" Reason=test; }
read -r slots memory <<<"$(offer)"
half="$((slots / 2)) $((memory / 2))"

says() { ufab chain provider status alpha | grep -qE "$1"; }
wait_until 90 says "^benchmark .* shown by $slots lanes of"
wait_until 90 says "check: good by registry"
expect "it was one job on every node of the cluster" grep -qF "in batch on an[1-2]" "$slurm/alpha/slurmctld.log"
expect "an auditor comes to the same digests" ufab chain audit bench alpha >/dev/null

set_nodes an1 DRAIN
wait_until 20 offers "$half"
expect "it is said why" grep -q "capacity: its machines have ${half% *} processors and ${half#* } MiB" "$state/alpha/node.log"
set_nodes an1 RESUME
wait_until 20 offers "$slots $memory"

set_nodes an[1-2] DRAIN
wait_until 20 status_is draining
expect "the reason is on the ledger" grep -qaF "its machines have 0 processors and 0 MiB left" "$state"/chain/chain/log/*
set_nodes an[1-2] RESUME
wait_until 20 status_is active
expect "the offer is whole" offers "$slots $memory"

# Slurm that does not answer is no news.
before=$(grep -c "capacity:" "$state/alpha/node.log")
read -r controller _ <"$slurm/alpha/pid/slurmctld"
kill -STOP "$controller"
sleep 15
kill -CONT "$controller"
expect "the offer stands" offers "$slots $memory"
expect "and the provider" status_is active
expect "but it is said" [ "$(grep -c "capacity:" "$state/alpha/node.log")" -gt "$before" ]
# The operator's own drain is hers to end.
ufab alpha provider drain --reason maintenance >/dev/null
sleep 4
expect "it stays drained" status_is draining
ufab chain audit verify >/dev/null
echo "slurm capacity: the offer follows the cluster"
