# What the system tests share: a small federation of real nodes on loopback, and checks that say what failed.
# A test sources this with BIN set to the folder of the binaries. Everything it starts ends with it.
set -euo pipefail
: "${BIN:?folder of the binaries}"
examples=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../jobs/examples" && pwd)
state=$(mktemp -d "${TMPDIR:-/tmp}/ufab-test-XXXXXX")
homes=()

ufab() { # ufab HOME VERB…
  local home=$1
  shift
  "$BIN/ufab" --home "$state/$home" "$@"
}
clean_up() {
  local status=$?
  trap - EXIT
  for home in "${homes[@]}"; do
    if [ $status -ne 0 ]; then
      echo "--- node.log of $home" >&2
      tail -n 15 "$state/$home/node.log" >&2 || true
    fi
    if [ -S "$state/$home/node.sock" ]; then ufab "$home" down --jobs >/dev/null 2>&1 || true; fi
  done
  if [ $status -ne 0 ]; then
    local output newest
    newest=$(ls -t "$state"/*/jobs/*/output "$state"/*/jobs/*/verify-*/output 2>/dev/null || true)
    for output in $(head -n 6 <<<"$newest"); do
      echo "--- $output" >&2
      tail -n 5 "$output" >&2
    done
  fi
  rm -rf "$state"
  exit $status
}
trap clean_up EXIT
trap 'exit 1' INT TERM

fail() {
  echo "FAILED: $*" >&2
  exit 1
}
expect() { # expect "what should hold" CONDITION…
  local what=$1
  shift
  "$@" || fail "$what"
}
equal() { [ "$1" = "$2" ] || { echo "  '$1' is not '$2'" >&2; return 1; }; }
contains() { grep -qF -- "$2" <<<"$1" || { echo "  '$2' is not in: $1" >&2; return 1; }; }
# wait_until SECONDS COMMAND…: polls until the command succeeds.
wait_until() {
  local left=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ $left -gt 0 ] || fail "did not come true in time: $*"
    sleep 0.2
  done
}
field() { # field NAME: the value of a flat field in the JSON object on standard input
  sed -E "s/.*\"$1\":(\"([^\"]*)\"|([^,}]*)).*/\2\3/"
}
job_field() { ufab "$1" show "$2" --json | field "$3"; }

# programs_for ACCOUNT: the programs where that account reaches them, which may be a copy: a checkout often lies in a
# folder that is its owner's alone.
programs_for() {
  setpriv --reuid "$1" --clear-groups test -x "$BIN/ufab" 2>/dev/null && return
  cp -a "$BIN" "$state/bin"
  BIN=$state/bin
}

# start_federation PROVIDER…: a chain (home "chain", which verifies) and one organisation with a provider of two
# processors for each name. UFAB_CHAIN_OPTIONS may hold further options of init.
start_federation() {
  homes=(chain)
  # shellcheck disable=SC2086
  ufab chain init --solo --org registry --chain-name test --block-interval-ms 200 ${UFAB_CHAIN_OPTIONS-} >/dev/null
  ufab chain up >/dev/null
  ufab chain account stake 200 >/dev/null
  local ticket name
  ticket=$(ufab chain status | sed -n 's/^ticket *//p')
  for name in "$@"; do
    homes+=("$name")
    ufab "$name" init --org "$name" --join "$ticket" >/dev/null
    ufab "$name" up >/dev/null
    ufab chain account transfer "$name" 1000 >/dev/null
    ufab "$name" account stake 200 >/dev/null
    ufab "$name" provider init --slots 2 --memory 2048 >/dev/null
    # A measured speed would make shares depend on the machine's mood; tests name their shares or want equal ones.
    echo '{"schema":"ufab.provider-bench/1","mflops":10000,"tokens_per_s":1,"backend":"test","threads":2}' \
      >"$state/$name/speed.json"
    ufab "$name" provider enroll >/dev/null
  done
  mkdir -p "$state/work"
  cd "$state/work"
}

# training_files STEPS WINDOW: tiny.toml, corpus.h5 and train.sh in the present folder; the digest that one process
# without any fabric computes is left in $reference.
training_files() {
  "$BIN/ufab" data pack "$examples/train-gpt.toml" "$examples"/../../README.md "$examples"/../../LICENSE -o corpus.h5 >/dev/null
  cat >tiny.toml <<EOF
[model]
layers = 1
heads = 2
width = 32
context = 32
[train]
steps = $1
window = $2
micro_batch = 2
micro_batches = 8
warmup_steps = 2
eval_every = 0
eval_batches = 2
EOF
  cat >train.sh <<'EOF'
#!/bin/bash
#SBATCH --job-name=tiny --ntasks=1 --time=10
#UFAB --train=tiny.toml --data=corpus.h5 --verify=exact:100%
ufab train
EOF
  reference=$("$BIN/ufab" train --config tiny.toml --data corpus.h5 --out "$state/reference" -- --quiet --resume none | final_digest)
}
final_digest() { sed -nE 's/.*final digest (sha256:[0-9a-f]{64}).*/\1/p' | tail -n 1; }
