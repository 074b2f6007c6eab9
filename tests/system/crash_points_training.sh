#!/usr/bin/env bash
# kill -9 of a node at its writes while a training job with verified windows runs, from submission to settlement:
# once of the owner's and provider's node, once of the validator's and verifier's. Nothing acknowledged is lost,
# the job runs once, every window is verified and the model has the digest of an undisturbed run.
# Every CRASH_STRIDE-th write is tried, from CRASH_FIRST on (default: a random one of the first CRASH_STRIDE);
# CRASH_STRIDE=1 tries all of them. CRASH_VICTIMS may name one of the two homes, alpha and chain.
source "$(dirname "$0")/lib.sh"
stride=${CRASH_STRIDE:-8}
first=${CRASH_FIRST:-$((RANDOM % stride + 1))}
echo "crash points of a training job: CRASH_FIRST=$first CRASH_STRIDE=$stride"
start_federation alpha
training_files 12 4
jobs=0

is_up() { ufab "$1" status >/dev/null 2>&1; }
has_ended() { [ "$(job_field alpha "$1" finished 2>/dev/null)" = true ]; }

walk() { # walk VICTIM
  local victim=$1 point=$first crashes=0 key acknowledged died job polls
  while :; do
    ufab "$victim" down >/dev/null
    UFAB_CRASH_AT=$point ufab "$victim" up >/dev/null 2>&1 || true
    key=$victim-$point
    acknowledged=$(ufab alpha submit --parsable --idempotency-key="$key" train.sh 2>/dev/null) || acknowledged=
    polls=0
    while [ -n "$acknowledged" ] && is_up "$victim" && ! has_ended "$acknowledged"; do
      polls=$((polls + 1))
      [ $polls -lt 600 ] || fail "$victim at write $point: job $acknowledged neither ends nor does the node die"
      sleep 0.1
    done
    died=yes
    if is_up "$victim"; then  # it may still reach its last write: it must not while it is asked below
      died=no
      ufab "$victim" down >/dev/null 2>&1 || true
    else
      crashes=$((crashes + 1))
    fi
    ufab "$victim" up >/dev/null
    wait_until 30 ufab alpha submit --parsable --idempotency-key="$key" train.sh
    job=$(ufab alpha submit --parsable --idempotency-key="$key" train.sh)
    jobs=$((jobs + 1))
    if [ -n "$acknowledged" ]; then
      expect "$victim at write $point: the acknowledged job is still there" equal "$job" "$acknowledged"
    fi
    expect "$victim at write $point: it is the only one with its key" equal "$job" "$jobs"
    ufab alpha wait -q "$job" || fail "$victim at write $point: job $job did not complete"
    expect "$victim at write $point: the digest" equal "$(final_digest <"$state/alpha/jobs/$job/output")" "$reference"
    expect "$victim at write $point: windows verified" equal "$(job_field alpha "$job" windows_verified)" 3
    if [ $died = no ]; then break; fi
    point=$((point + stride))
  done
  [ $crashes -gt 1 ] || fail "$victim was killed at $crashes of its writes only"
  echo "crash points: the node of $victim was killed at $crashes of its writes"
}
for victim in ${CRASH_VICTIMS:-alpha chain}; do walk "$victim"; done
for name in alpha chain; do ufab $name audit verify >/dev/null; done
