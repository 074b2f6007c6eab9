#!/usr/bin/env bash
# A provider that cheats is named, is not paid, loses stake where it lied about a result, and the model is right.
# gamma runs a trainer that cheats as UFAB_CHEAT says (tests/fabric/train/dishonest_train.cpp).
source "$(dirname "$0")/lib.sh"
: "${DISHONEST:?the cheating trainer}"
# Its cheats follow each other faster than a suspension ends, which would keep it from the next one.
UFAB_CHAIN_OPTIONS="--param points_suspend=1000000"
start_federation alpha beta gamma
training_files 60 20
printf '[data]\ncorpus = "%s"\n' "$PWD/corpus.h5" >>tiny.toml
readings() { grep -c "the provider section was read again" "$state/gamma/node.log" || true; }
before=$(readings)
ufab gamma provider init --trainer "$DISHONEST" >/dev/null
is_read() { [ "$(readings)" -gt "$before" ]; }
wait_until 10 is_read
stake_of() { ufab chain account balance --all | awk -v o="$1" '$1 == o {print $4}'; }

# cheat HOW "what the ledger says, a regular expression" SLASHED (yes, no, or maybe)
cheat() {
  local how=$1 says=$2 slashed=$3 job audit before
  before=$(stake_of gamma)
  job=$(ufab alpha submit --parsable --providers=3 --export="UFAB_CHEAT=$how" train.sh)
  ufab alpha wait -q "$job"
  audit=$(ufab beta audit job "$job")
  expect "the ledger says why ($how)" grep -qE -- "$says" <(tr -s ' \n' ' ' <<<"$audit")
  expect "the model is right all the same ($how)" equal "$(cat "$state/alpha/jobs/$job/output" | final_digest)" "$reference"
  expect "the job is settled ($how)" contains "$(ufab alpha show "$job")" "settled: done, 3 windows paid"
  expect "honest providers are paid ($how)" [ "$(ufab alpha show "$job" | grep -cE '^  (alpha|beta) ')" -eq 2 ]
  expect "gamma is not paid ($how)" [ "$(ufab alpha show "$job" | grep -cE '^  gamma ')" -eq 0 ]
  if [ "$slashed" = yes ]; then
    expect "stake is slashed ($how)" [ "$(stake_of gamma | cut -d. -f1)" -lt "$(cut -d. -f1 <<<"$before")" ]
    ufab gamma account stake 100 >/dev/null
  fi
}
cheat gradient:5:6 "gamma wrong at step 5 micro-batch 6" yes
cheat hidden:5:7 "gamma wrong at step 5" yes
cheat stale:5 "gamma wrong at step 5" yes
cheat work "refused: .*flop, its share of the window is" no
# A false end of a window: refused when the next window's receipt contradicts it in the same batch, else disputed.
cheat end_digest "refused: .*stale checkpoint|gamma wrong" maybe
for name in alpha beta gamma chain; do ufab $name audit verify >/dev/null; done
echo "dishonest: every cheat is named, unpaid, and without effect on the model"
