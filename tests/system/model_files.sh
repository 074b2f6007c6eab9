#!/usr/bin/env bash
# A job's model goes out to safetensors and comes in again, and a training goes on from it.
source "$(dirname "$0")/lib.sh"
start_federation alpha
training_files 6 3
job=$(ufab alpha submit --parsable --providers=1 train.sh)
ufab alpha wait -q "$job"
mkdir out
ufab alpha model export "$job" -o out/model.safetensors >exported
expect "the export names the model" contains "$(cat exported)" "$reference"
expect "and its size" contains "$(cat exported)" "16 tensors, 21984 parameters (1 layers, 2 heads, width 32, context 32, vocabulary 256), step 6"
expect "the configuration is beside it" contains "$(cat out/config.json)" '"n_embd": 32'
"$BIN/ufab" model import out/model.safetensors -o init.h5 >imported
expect "the import has the same parameters" contains "$(tail -n 1 imported)" "init_digest = \"$reference\""
for words in "export init.h5 -o out/again.safetensors" "import out/model.safetensors -o again.h5"; do
  # shellcheck disable=SC2086
  json=$("$BIN/ufab" model $words --json)
  expect "--json of $words" equal "$(field schema <<<"$json") $(field parameters <<<"$json") $(field step <<<"$json")" \
    "ufab.model-${words%% *}/1 21984 0"
  expect "the digest of $words" equal "$(field parameters_digest <<<"$json")" "$reference"
done
for verb in sample export import; do
  expect "help of $verb" contains "$("$BIN/ufab" model $verb --help)" "usage: ufab model $verb"
done
expect "text from the import is the trained model's" equal \
  "$("$BIN/ufab" model sample init.h5 --corpus corpus.h5 --tokens 20)" "$(ufab alpha model sample "$job" --tokens 20)"

# The printed line, as it is, makes a definition that starts from the import.
sed "s/^layers/$(tail -n 1 imported)\n&/" tiny.toml >on.toml
train() { # train RANKS OUT OPTION…
  local ranks=$1 out=$2
  shift 2
  "$BIN/ufab" train --config on.toml --data corpus.h5 --ranks "$ranks" --out "$state/$out" -- --quiet "$@"
}
one=$(train 1 one --init init.h5 | final_digest)
two=$(train 2 two --init init.h5 | final_digest)
expect "training from it ends" [ -n "$one" ]
expect "one and two ranks agree" equal "$one" "$two"
expect "the trained model went on" [ "$one" != "$reference" ]
echo "model files: $reference out and in, then $one"
