#!/usr/bin/env bash
# Bad input gets one clear line and the right exit status, in each place that takes input, and leaves nothing behind.
source "$(dirname "$0")/lib.sh"
start_federation alpha
training_files 4 2

# refuse STATUS "part of the line" COMMAND…
refuse() {
  local wanted=$1 part=$2 status=0
  shift 2
  "$@" >stdout 2>stderr || status=$?
  expect "exit status of: $*" equal "$status" "$wanted"
  expect "one line on stderr of: $*" equal "$(wc -l <stderr)" 1
  expect "its text, of: $*" contains "$(cat stderr)" "$part"
}
# Command line.
refuse 2 "no verb 'frobnicate'" ufab alpha frobnicate
refuse 2 "this version has no \`ufab top\`" ufab alpha top
refuse 2 "--home needs a folder" "$BIN/ufab" --home
refuse 2 "--home needs a folder" "$BIN/ufab" status --home=
"$BIN/ufab" status --home="$state/alpha" >/dev/null
"$BIN/ufab" submit --home="$state/alpha" --test-only --wrap true >/dev/null
refuse 2 "usage: ufab show JOB" ufab alpha show
refuse 2 "'seven' is no job number" ufab alpha show seven
refuse 1 "no job 99" ufab alpha show 99
refuse 2 "unknown column 'Jobs'; there are JobID JobName" ufab alpha sacct --format Jobs
refuse 2 "'x' is no job number" ufab alpha sacct -j 1,x
refuse 2 "amount 'x'" ufab alpha account transfer alpha x
refuse 1 "no organisation 'nobody'" ufab alpha account transfer nobody 1
refuse 1 "the memo has 600 bytes" ufab chain account transfer alpha 1 --memo "$(printf 'x%.0s' $(seq 600))"
refuse 1 "is no home yet" ufab nowhere status
refuse 1 "is a home already" ufab alpha init --solo
refuse 2 "not a join ticket" ufab fresh init --org fresh --join rubbish
expect "a refused init leaves no home" [ ! -e "$state/fresh" ]
refuse 2 "belong to --solo" ufab fresh init --org fresh --join rubbish --chain-name other
refuse 2 "address by which other organisations reach" ufab fresh init --solo --org fresh --listen 0.0.0.0:4711
refuse 2 "address by which other organisations reach" ufab fresh init --solo --org fresh --listen 0.0.0.0
refuse 2 "is no organisation's name" ufab fresh init --org 'Bad Name' --solo
key=$(cat "$state/alpha/org.key")
mv "$state/alpha/config.toml" config.kept
refuse 1 "restore config.toml" ufab alpha init --org alpha --solo
expect "the key of a home that lost its configuration is kept" equal "$(cat "$state/alpha/org.key")" "$key"
expect "and so is its chain" [ -d "$state/alpha/chain" ]
mv config.kept "$state/alpha/config.toml"
refuse 2 "'-1' is not a whole number" ufab alpha provider init --slots -1
refuse 2 "'99999999999999999999' is not a whole number" ufab alpha provider init --memory 99999999999999999999
refuse 2 "--slots: from 1" ufab alpha provider init --slots 0
refuse 2 "--price-tflop: amount '-3'" ufab alpha provider init --price-tflop=-3
ufab alpha provider init --price-cpu-hour 0.07 >provider
expect "provider init changes only what it is told" contains "$(cat provider)" "2 processors, 2048 MiB, 0.002 UNC per TFLOP, 0.07 UNC"
# Script.
printf '#!/bin/sh\n#SBATCH --no-such=1\n' >bad.sh
refuse 1 "bad.sh: line 2: unknown option --no-such" ufab alpha submit bad.sh
printf 'echo\n' >noshebang.sh
refuse 1 "line 1: not a batch script" ufab alpha submit noshebang.sh
refuse 2 "missing.sh" ufab alpha submit missing.sh
refuse 2 "unknown option --bogus" ufab alpha submit --bogus train.sh
# Job definition.
sed 's/layers = 1/layers = 1\nlayerz = 2/' tiny.toml >bad.toml
refuse 1 "layerz" ufab alpha submit --train=bad.toml train.sh
sed 's/steps = 4/steps = "four"/' tiny.toml >bad.toml
refuse 1 "steps" ufab alpha submit --train=bad.toml train.sh
sed 's/heads = 2/heads = 3/' tiny.toml >bad.toml
refuse 1 "heads" ufab alpha submit --train=bad.toml train.sh
refuse 1 "absent.toml" ufab alpha submit --train=absent.toml train.sh
# Corpus.
head -c 1000 corpus.h5 >cut.h5
refuse 1 "cut.h5" ufab alpha submit --data=cut.h5 train.sh
cp corpus.h5 flipped.h5
printf '\x55' | dd of=flipped.h5 bs=1 seek=$(($(stat -c %s flipped.h5) / 2)) conv=notrunc status=none
refuse 1 "flipped.h5" ufab alpha submit --data=flipped.h5 train.sh
refuse 1 "no-such.txt" "$BIN/ufab" data pack no-such.txt -o x.h5
# Memory.
refuse 1 "the job will not fit: a rank needs " "$BIN/ufab-train" --job tiny.toml --data corpus.h5 --out refused --memory 1M
expect "a refused training leaves no folder" [ ! -e refused ]
refuse 2 "--memory" "$BIN/ufab-train" --job tiny.toml --data corpus.h5 --memory lots
refuse 2 "--print-plan" "$BIN/ufab-train" --job tiny.toml --data corpus.h5 --json
# Checkpoint.
checkpoint=$(ls "$state"/reference/checkpoints/*.h5 | tail -n 1)
cp "$checkpoint" bad-checkpoint.h5
printf '\x55' | dd of=bad-checkpoint.h5 bs=1 seek=$(($(stat -c %s bad-checkpoint.h5) / 2)) conv=notrunc status=none
refuse 1 "bad-checkpoint.h5" "$BIN/ufab" model sample bad-checkpoint.h5 --corpus corpus.h5 --tokens 4
# Weights.
"$BIN/ufab" model export "$checkpoint" -o out.safetensors >/dev/null
refuse 2 "usage: ufab model sample|export|import" "$BIN/ufab" model
refuse 2 "give -o MODEL.safetensors" "$BIN/ufab" model export "$checkpoint"
refuse 2 "give -o INIT.h5" "$BIN/ufab" model import out.safetensors
refuse 1 "bad-checkpoint.h5: damaged checkpoint" "$BIN/ufab" model export bad-checkpoint.h5 -o x.safetensors
refuse 1 "job 99 has no model in this home yet" ufab alpha model export 99 -o x.safetensors
refuse 2 "--heads: from 1" "$BIN/ufab" model import out.safetensors -o init.h5 --heads 0
refuse 1 "absent.safetensors: No such file" "$BIN/ufab" model import absent.safetensors -o init.h5
refuse 1 "not a safetensors file" "$BIN/ufab" model import corpus.h5 -o init.h5
head -c 5000 out.safetensors >cut.safetensors
refuse 1 "cut.safetensors: tensor 'wte.weight': its data ends at" "$BIN/ufab" model import cut.safetensors -o init.h5
refuse 2 "--heads 4: config.json says n_head 2" "$BIN/ufab" model import out.safetensors -o init.h5 --heads 4
expect "no weights and no checkpoint came of it" [ ! -e x.safetensors ] && [ ! -e init.h5 ]
sed "s/layers = 1/layers = 1\ninit_digest = \"${reference}\"/" tiny.toml >from-init.toml
refuse 2 "from-init.toml: model.init_digest: initial parameters do not travel" ufab alpha submit --train=from-init.toml train.sh
refuse 2 "do not travel to providers" ufab alpha submit --test-only --train=from-init.toml train.sh
{ echo 'precision = "fast"'; grep -v '^precision' tiny.toml; } >fast.toml
refuse 2 "fast.toml: precision is 'fast': no provider is paid for what another cannot compute again" \
  ufab alpha submit --train=fast.toml train.sh
# Proof.
printf 'rubbish' >bad.proof
refuse 1 "bad.proof" "$BIN/ufab" audit check bad.proof
refuse 1 "" ufab alpha audit prove 1/99 -o x.proof
# Network: garbage at both doors leaves the node up.
port=$(ufab alpha status | sed -nE 's/^listens on *127.0.0.1:([0-9]+)$/\1/p')
head -c 4096 /dev/urandom >"/dev/tcp/127.0.0.1/$port" || true
printf 'GET / HTTP/1.0\r\n\r\n' >"/dev/tcp/127.0.0.1/$port" || true
ufab alpha status >/dev/null
# A node that is down.
ufab alpha down >/dev/null
refuse 3 "ufab up" ufab alpha queue
refuse 3 "only it can end its batch runs" ufab alpha down --jobs
(exec 9>held && flock 9 && ufab alpha up >/dev/null)
expect "the node keeps nothing open that was its caller's" flock --nonblock held true
ufab alpha down >/dev/null
expect "nothing was ordered" contains "$(ufab chain status)" " 0 jobs"
echo "bad input: every line as expected"
