#!/usr/bin/env bash
# The main job, from nothing to an audited, rewarded model: what `./dev demo` runs.
#   demo.sh BIN_FOLDER STATE_FOLDER [TEXT_FILE…]
# Everything is real and stays in STATE_FOLDER: a chain with one validator, three organisations with a node and a
# provider each, all on this machine's loopback. A second run starts anew.
set -euo pipefail
bin=$1
state=$2
shift 2
examples=$(cd "$(dirname "$0")" && pwd)
organisations=(alpha beta gamma)
homes=(chain "${organisations[@]}")

bold=; plain=
if [ -t 1 ]; then bold=$'\033[1m'; plain=$'\033[0m'; fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
ufab() { # ufab HOME VERB…
  local home=$1
  shift
  "$bin/ufab" --home "$state/$home" "$@"
}
end_nodes() {
  for home in "${homes[@]}"; do
    if [ -S "$state/$home/node.sock" ]; then ufab "$home" down --jobs >/dev/null 2>&1 || true; fi
  done
}

# Only a folder that an earlier demo made, or an empty one, is ever cleared.
if [ -e "$state" ] && [ ! -e "$state/.ufab-demo" ] && [ -n "$(ls -A "$state")" ]; then
  echo "demo: $state is not empty and no earlier demo's; name another folder" >&2
  exit 2
fi
end_nodes
rm -rf "${state:?}"
mkdir -p "$state/work"
state=$(cd "$state" && pwd)
touch "$state/.ufab-demo"
trap 'end_nodes' EXIT
trap 'echo; echo "demo: interrupted, ending the nodes and their jobs"; exit 130' INT TERM
SECONDS=0

say "a chain with one validator, and three organisations that join it"
ufab chain init --solo --org registry --chain-name demo --block-interval-ms 400 --epoch-blocks 20
ufab chain up
ticket=$(ufab chain status | sed -n 's/^ticket *//p')
for name in "${organisations[@]}"; do
  ufab "$name" init --org "$name" --join "$ticket"
  ufab "$name" up
done

say "money to start with, and the pledge that providers and verifiers need"
ufab chain account stake 200
for name in "${organisations[@]}"; do
  ufab chain account transfer "$name" 1000 --memo "starting balance"
  ufab "$name" account stake 200
done

say "three providers: configured, checked, measured, enrolled"
for name in "${organisations[@]}"; do
  ufab "$name" provider init --slots 2 --memory 2048
  ufab "$name" provider check
  ufab "$name" provider bench --seconds 1
  ufab "$name" provider enroll
done
ufab alpha provider status

say "a corpus from real English text"
files=("$@")
if [ ${#files[@]} -eq 0 ]; then
  # Regular files only: the folder's links would pack one licence several times.
  mapfile -t files < <(find /usr/share/common-licenses -maxdepth 1 -type f | sort)
fi
ufab alpha data pack "${files[@]}" -o "$state/work/corpus.h5"

say "the job: an ordinary batch script with a few #UFAB lines"
cp "$examples/train-gpt.sh" "$examples/train-gpt.toml" "$state/work/"
cd "$state/work"
grep -E '^#(SBATCH|UFAB)' train-gpt.sh
ufab alpha submit train-gpt.sh

say "three providers train one model"
ufab alpha wait 1

say "what was re-executed by somebody who took no part, and what it came to"
for _ in $(seq 60); do # rewards come with the end of the epoch
  if ! ufab alpha audit job 1 | grep -q 'none yet'; then break; fi
  sleep 0.5
done
ufab alpha audit job 1
ufab alpha account balance --all

say "an auditor verifies everything offline, from each organisation's own copy"
for name in "${organisations[@]}"; do ufab "$name" audit verify; done
ufab alpha audit prove job/1 -o "$state/job-1.proof"
ufab alpha audit check "$state/job-1.proof"

say "the report"
ufab alpha audit report --job 1 --title "UtilityFabric demo" -o "$state/report.html"

say "the trained model writes"
ufab alpha model sample 1 --tokens 240

say "done in $SECONDS s; everything is in $state"
echo "audit it again at any time:  $bin/ufab --home $state/alpha audit verify"
