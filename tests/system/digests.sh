#!/usr/bin/env bash
# The final digest is the same for one, two and three providers, with equal and with lopsided shares, on other ranks
# and threads, and when a node or a rank is killed in the middle.
source "$(dirname "$0")/lib.sh"
start_federation alpha beta gamma
training_files 60 20

digest_of() { cat "$state"/*/jobs/"$1"/output | final_digest; }
run() { # run "what" OPTION…
  local what=$1 job
  shift
  job=$(ufab alpha submit --parsable "$@" train.sh)
  ufab alpha wait -q "$job"
  expect "the digest of $what" equal "$(digest_of "$job")" "$reference"
  expect "every window of $what was re-executed" equal "$(job_field alpha "$job" windows_verified)" 3
}
run "one provider" --providers=1
run "two ranks" --providers=1 --ntasks=2
run "two providers, shares 1:7" --providers=2 --shares=1:7
run "three providers, equal" --providers=3
run "three providers, shares 1:5:2, two threads each" --providers=3 --shares=1:5:2 --cpus-per-task=2

# kill -9 of nodes and of a rank, at three moments each.
sed -i 's/steps = 60/steps = 900/; s/window = 20/window = 100/' tiny.toml
reference=$("$BIN/ufab" train --config tiny.toml --data corpus.h5 --out "$state/reference2" -- --quiet --resume none | final_digest)
at_step() { [ "$(ufab alpha show "$1" --json | field step)" -ge "$2" ]; }
for victim in beta gamma rank; do
  job=$(ufab alpha submit --parsable --providers=3 --verify=exact:12% train.sh)
  wait_until 40 at_step "$job" $((RANDOM % 300 + 50))
  if [ $victim = rank ]; then
    pid=$(pgrep -f "ufab-train .*$state/gamma/jobs/$job/" | tail -n 1)
    kill -9 "$pid"
  else
    pid=$(pgrep -f "ufabd --home $state/$victim\$")
    kill -9 "$pid"
    sleep 0.5
    ufab $victim up >/dev/null
  fi
  ufab alpha wait -q "$job"
  expect "the digest after kill -9 of $victim" equal "$(digest_of "$job")" "$reference"
done
for name in alpha beta gamma chain; do ufab $name audit verify >/dev/null; done
echo "digests: $reference however it was computed"
