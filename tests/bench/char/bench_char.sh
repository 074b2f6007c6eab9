#!/usr/bin/env bash
# The small character model of jobs/examples/char-gpt.toml, submitted to a chain with one provider of two processors
# and trained on the text that UFAB_CHAR_TEXT names (tiny Shakespeare, for the peer's figure to mean anything). The
# peer's loss is published, nanoGPT's README (CPU example); seconds are the trainer's own, without the submission.
set -euo pipefail
if [ -z "${UFAB_CHAR_TEXT-}" ]; then
  echo "bench char: left out; set UFAB_CHAR_TEXT to a text file to measure it" >&2
  exit 0
fi
[ -r "$UFAB_CHAR_TEXT" ] || { echo "bench char: $UFAB_CHAR_TEXT cannot be read" >&2; exit 1; }
text=$(realpath -- "$UFAB_CHAR_TEXT")
BIN=@CMAKE_RUNTIME_OUTPUT_DIRECTORY@
source "@CMAKE_SOURCE_DIR@/tests/system/lib.sh"
start_federation alpha
cp "$examples/char-gpt.sh" "$examples/char-gpt.toml" .
"$BIN/ufab" data pack "$text" -o shakespeare.h5 >/dev/null
ufab alpha submit --wait --quiet char-gpt.sh >&2 || fail "the job did not end well"
result=$(find "$state/alpha/jobs" -name result.json -print -quit)
expect "the trainer left a result" [ -n "$result" ]
loss=$(field loss <"$result") wall_ms=$(field wall_ms <"$result")
awk -v loss="$loss" -v ms="$wall_ms" 'BEGIN {
  format = "{\"group\":\"char\",\"name\":\"%s\",\"ours\":%.4g,\"peer\":%s,\"unit\":\"%s\",\"ratio\":%s,\"aim\":%s,\"met\":%s}\n"
  printf format, "validation loss after 2000 steps, published peer", loss, "1.88", "nats",
    sprintf("%.4f", loss / 1.88), "1.90", loss <= 1.90 ? "true" : "false"
  printf format, "training of 2000 steps, through ufab submit", ms / 1000, "null", "s", "null", "90",
    ms <= 90000 ? "true" : "false"
}'
