#!/usr/bin/env bash
# Scripts that nobody trusts, on a provider that maps users, uses bubblewrap, or both: what they reach, what they plant
# for the node to read, how they end; and that training gives the same bits.
if [ "$(id -u)" -ne 0 ]; then echo "skipped: only root starts scripts as other users"; exit 77; fi
source "$(dirname "$0")/lib.sh"
ours=games theirs=uucp # accounts of every Debian, which own no process
for account in $ours $theirs; do
  getent passwd $account >/dev/null || { echo "skipped: no account '$account' here"; exit 77; }
done
if ! bwrap --ro-bind / / --unshare-pid --unshare-user true 2>/dev/null; then
  echo "skipped: bubblewrap makes no sandbox here"
  exit 77
fi
chmod 711 "$state" # where runs live beside the homes
programs_for $theirs
start_federation alpha beta
chmod 777 "$state/work"
node_of() { pgrep -f "^$BIN/ufabd --home $state/$1\$" || true; }
settings() { # settings NAME OPTION…: and until the node has read them
  local name=$1 before
  shift
  [[ "$*" == *"--isolation bubblewrap"* ]] || set -- --isolation none "$@"
  [[ "$*" == *"--isolation-network none"* ]] || set -- --isolation-network shared "$@"
  before=$(grep -c 'section was read again' "$state/$name/node.log" || true)
  sleep 0.05 # files have time stamps of some granularity
  ufab "$name" provider init --run-as none "$@" >/dev/null
  read_again() { [ "$(grep -c 'section was read again' "$state/$name/node.log" || true)" -gt "$before" ]; }
  wait_until 20 read_again
}
is_running() { [ "$(job_field "$1" "$2" run)" = running ]; }

# --- settings -------------------------------------------------------------------------------------------------------
refuse() { # refuse "message" OPTION…
  local message=$1 status=0
  shift
  ufab alpha provider init "$@" 2>refused >/dev/null || status=$?
  expect "it is refused: $*" [ $status -ne 0 ]
  expect "in one line" equal "$(wc -l <refused)" 1
  expect "which says why" contains "$(cat refused)" "$message"
}
refuse "'root' is root" --run-as root
refuse "there is no local user 'nobody-here'" --run-as beta=nobody-here
refuse "neither bubblewrap nor none" --isolation jail
refuse "neither inside this home nor around it" --run-folder "$state/alpha/runs"
expect "nothing of it was kept" equal "$(grep -c isolation "$state/alpha/config.toml" || true)" 0
expect "a provider without isolation is told so" contains "$(ufab alpha provider check || true)" "note  scripts run as the node's own user"

# --- what a script reaches ------------------------------------------------------------------------------------------
cat >reach.sh <<'EOS'
#!/bin/bash
#SBATCH --time=5
home=$1 runs=$2 node=$3 bin=$4 write=$5
try() { local what=$1; shift; if "$@" >/dev/null 2>&1; then echo "REACHED $what"; fi; }
try nothing-at-all true # the trial itself works
try the-key cat "$home/org.key"
try the-configuration cat "$home/config.toml"
try the-chain ls "$home/chain"
try the-log head -c1 "$home/node.log"
try the-socket python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])' "$home/node.sock"
try the-jobs ls "$home/jobs"
try the-list-of-runs sh -c 'ls "$1" | grep -q job-1-1' sh "$runs"
try another-run ls "$runs/job-1-1"
try another-runs-output cat "$runs/job-1-1/output"
try the-folder-of-root ls /root
try the-shadow cat /etc/shadow
try the-node kill -0 "$node"
try the-nodes-memory head -c1 "/proc/$node/environ"
for place in / /usr /etc /opt "$bin" "$home" "$runs" /var/lib /root /sys/fs/cgroup; do
  [ "$write" = no ] || try "write-$place" touch "$place/ufab-was-here"
done
try its-own-folder touch here
try its-input-it-reads cat "$PWD/input/script"
echo "user $(id -un) group $(id -gn) groups $(id -G | wc -w) of $USER $LOGNAME home $HOME shell $SHELL umask $(umask)"
grep -E '^(NoNewPrivs|CapEff):' /proc/self/status | tr -s '\t\n' '  '
[ -w /dev/shm ] && [ -w /tmp ] && echo "shm and tmp"
EOS
ufab beta provider drain >/dev/null
settings alpha --run-as $ours --run-as beta=$theirs
expect "users that can be had are fine" ufab alpha provider check >check.out
expect "and named" contains "$(cat check.out)" "user $theirs"
expect "this user reaches the runs" contains "$(cat check.out)" "$theirs reaches the folder of runs"
ufab alpha submit --wait --quiet -o victim.out --wrap 'echo precious; id -un; pwd' || fail "alpha's own job"
expect "a job of the own organisation runs where it was submitted, as the default user" equal "$(cat victim.out)" $'precious\n'$ours$'\n'"$PWD"
expect "job 1 lives with the runs" test -d "$state/alpha-runs/job-1-1/input"

echo guarded >"$state/guarded"
cat >own.sh <<'EOS'
#!/bin/bash
#SBATCH --time=5 --output=own.out
echo first; sleep 1; rm -f own.out; ln -s "$1" own.out; echo second; sleep 1; echo third
EOS
ufab alpha submit --wait --quiet own.sh "$state/guarded" || fail "own.sh"
expect "the node writes output no further than the script's user comes" equal "$(cat "$state/guarded")" guarded

always="REACHED nothing-at-all"
own=$'REACHED its-own-folder\nREACHED its-input-it-reads'
reach() { # reach OPTION…: what a stranger's script says
  settings alpha "$@"
  rm -f reach.out
  ufab beta submit --wait --quiet -o reach.out reach.sh "$state/alpha" "$state/alpha-runs" "$(node_of alpha)" "$BIN" "$writes" || fail "the script under $*"
  cat reach.out
}
writes=no # not here, where it could
out=$(reach)
writes=yes
for reached in the-key the-chain another-runs-output the-shadow the-node; do # else the trials below prove nothing
  expect "without isolation it reaches $reached" contains "$out" "REACHED $reached"
done
out=$(reach --run-as $ours --run-as beta=$theirs)
expect "a mapped user reaches its own folder alone" equal "$(grep REACHED <<<"$out")" "$always"$'\n'"$own"
account_home=$(getent passwd $theirs | cut -d: -f6) account_shell=$(getent passwd $theirs | cut -d: -f7)
expect "it is that user in every respect" contains "$out" "user $theirs group $(id -gn $theirs) groups $(id -G $theirs | wc -w) of $theirs $theirs home $account_home shell $account_shell umask 0077"
expect "without any right" contains "$out" "NoNewPrivs: 1"
expect "capabilities included" contains "$out" "CapEff: 0000000000000000"
expect "with what programs need" contains "$out" "shm and tmp"
out=$(reach --isolation bubblewrap)
# There the parents of its folder are of its private /tmp; that nothing reaches the machine's is looked at below.
inside() { grep REACHED <<<"$out" | grep -v "write-$state/alpha-runs$"; }
expect "behind bubblewrap it reaches its own folder alone, even as root" equal "$(inside)" "$always"$'\n'"$own"
expect "without capabilities" contains "$out" "CapEff: 0000000000000000"
expect "with what programs need" contains "$out" "shm and tmp"
out=$(reach --isolation bubblewrap --run-as $ours --run-as beta=$theirs)
expect "and with both" equal "$(inside)" "$always"$'\n'"$own"
expect "as the mapped user" contains "$out" "user $theirs group"
for place in / /usr /etc /opt "$BIN" "$state/alpha" "$state/alpha-runs" /var/lib /root; do
  expect "nothing was written to $place" test ! -e "$place/ufab-was-here"
done

# --- the network ----------------------------------------------------------------------------------------------------
printf '#!/bin/bash\nfor i in /sys/class/net/*; do :; done; cut -d: -f1 -s /proc/net/dev | xargs\n' >net.sh
settings alpha --isolation bubblewrap --isolation-network none
ufab beta submit --wait --quiet -o net.out net.sh
expect "an ordinary script without network has loopback alone" equal "$(cat net.out)" "lo"

# --- what a script plants -------------------------------------------------------------------------------------------
cat >traps.sh <<'EOS'
#!/bin/bash
#SBATCH --time=5
echo said
rm -f output error
ln -s /etc/shadow output
mkfifo error
rm -rf out && ln -s "$1" out
mv input elsewhere && ln -s / input
EOS
for mode in "--run-as $theirs" "--isolation bubblewrap" "--isolation bubblewrap --run-as $theirs"; do
  # shellcheck disable=SC2086
  settings alpha $mode
  job=$(ufab beta submit --parsable -o traps.out -e traps.err traps.sh "$state/alpha")
  timeout 60 "$BIN/ufab" --home "$state/beta" wait -q "$job" || [ $? -ne 124 ] || fail "a trap under '$mode' holds the job up"
  expect "no link is served as output" equal "$(grep -c root: traps.out || true)" 0
  expect "nor to whoever asks" equal "$(ufab beta logs "$job" 2>/dev/null | grep -c root: || true)" 0
  expect "the node answers" timeout 10 "$BIN/ufab" --home "$state/alpha" status >/dev/null
done
secret=$(sha256sum "$state/alpha/org.key" /etc/shadow)

training_files 60 20
cat >planted.sh <<'EOS'
#!/bin/bash
#SBATCH --job-name=planted --time=5
#UFAB --train=tiny.toml --data=corpus.h5
mkfifo "$UFAB_OUT/windows.jsonl" && ln -s /etc/shadow "$UFAB_OUT/log.jsonl"
mkdir "$UFAB_OUT/checkpoints" "$UFAB_OUT/contributions"
ln -s /etc/shadow "$UFAB_OUT/contributions/window-000000.bin"
ln -s /etc/shadow "$UFAB_OUT/checkpoints/step-00000020.h5"
sleep 60
EOS
settings alpha --run-as $theirs
job=$(ufab beta submit --parsable planted.sh)
wait_until 30 is_running beta "$job"
wait_until 10 grep -q 'windows.jsonl: not a regular file' "$state/alpha/node.log"
expect "progress is asked for and nothing is told" equal "$(ufab beta show "$job" | grep -c root: || true)" 0
expect "the node answers" timeout 10 "$BIN/ufab" --home "$state/alpha" status >/dev/null
ufab beta cancel "$job" >/dev/null
run_status() { cat "$state/alpha/batch/job-$1-1/status.json"; }
is_cancelled() { grep -q '"result":"cancelled"' <<<"$(run_status "$1")"; }
wait_until 40 is_cancelled "$job"
expect "no secret was touched" equal "$(sha256sum "$state/alpha/org.key" /etc/shadow)" "$secret"

# --- cancel, and a node that is killed -------------------------------------------------------------------------------
cat >long.sh <<'EOS'
#!/bin/bash
#SBATCH --time=5
trap 'echo heard TERM; exit 3' TERM
setsid sleep "$1" &
echo started
while :; do sleep 0.1; done
EOS
nap=9$$ # seconds; no other process sleeps so long
left() { pgrep -f "^sleep $nap\$" | wc -l; }
node_gone() { [ -z "$(node_of alpha)" ]; }
for mode in "--run-as $theirs" "--isolation bubblewrap" "--isolation bubblewrap --run-as $theirs"; do
  # shellcheck disable=SC2086
  settings alpha $mode
  job=$(ufab beta submit --parsable -o long.out long.sh $nap)
  wait_until 20 is_running beta "$job"
  wait_until 20 grep -q started long.out
  kill -9 "$(node_of alpha)"
  wait_until 10 node_gone
  expect "the run outlives its node" equal "$(left)" 1
  ufab alpha up >/dev/null
  wait_until 20 is_running beta "$job"
  ufab beta cancel "$job" >/dev/null
  wait_until 20 is_cancelled "$job" # how the owner hears of it is batch_scripts.sh's
  expect "all of it ends ($mode)" equal "$(left)" 0
  expect "the script was asked first ($mode)" grep -q 'heard TERM' "$state/alpha-runs/job-$job-1/output"
  expect "it was never started twice" equal "$(job_field beta "$job" attempts)" 1
done

# --- no sandbox, no script ------------------------------------------------------------------------------------------
settings alpha --isolation bubblewrap
ufab alpha down >/dev/null
# A machine on which bubblewrap makes no sandbox.
unshare -m sh -c 'mount --bind /bin/false /usr/bin/bwrap && exec "$0" --home "$1" up' "$BIN/ufab" "$state/alpha" >/dev/null
job=$(ufab beta submit --parsable --no-requeue -o closed.out --wrap "touch $state/work/ran; echo ran")
ufab beta wait -q "$job" >/dev/null 2>&1 || true
expect "without a sandbox the script does not run" test ! -e "$state/work/ran"
expect "it is told why" contains "$(run_status "$job")" "bubblewrap makes no sandbox here"
expect "and whose fault that is" contains "$(run_status "$job")" '"result":"node_fail"'
expect "check finds it" contains "$(unshare -m sh -c 'mount --bind /bin/false /usr/bin/bwrap && "$0" --home "$1" provider check' "$BIN/ufab" "$state/alpha" || true)" "FAIL  bubblewrap makes no sandbox here"
ufab alpha down >/dev/null
ufab alpha up >/dev/null

# --- a node without any right of its own ------------------------------------------------------------------------------
mkdir "$state/gamma-base" && chown $ours "$state/gamma-base"
gamma() { # gamma VERB…, as a user
  local verb=$1
  shift
  (cd / && exec setpriv --reuid=$ours --regid="$(id -g $ours)" --clear-groups \
    "$BIN/ufab" --home "$state/gamma-base/gamma" "$verb" "$@")
}
end_gamma() { gamma down >/dev/null 2>&1 || true; }
trap 'status=$?; end_gamma; (exit $status) || true; clean_up' EXIT
gamma init --org gamma --join "$(ufab chain status | sed -n 's/^ticket *//p')" >/dev/null
gamma provider init --slots 2 --memory 2048 --isolation bubblewrap >/dev/null
gamma up >/dev/null
ufab chain account transfer gamma 1000 >/dev/null
gamma account stake 200 >/dev/null
cp "$state/alpha/speed.json" "$state/gamma-base/gamma/speed.json"
gamma provider enroll >/dev/null
expect "a user's sandbox works" contains "$(gamma provider check)" "ok    bubblewrap works"
ufab alpha provider drain >/dev/null
ufab beta submit --wait --quiet -o reach.out reach.sh "$state/gamma-base/gamma" "$state/gamma-base/gamma-runs" \
  "$(pgrep -f "^$BIN/ufabd --home $state/gamma-base/gamma\$")" "$BIN" yes || fail "the script on a user's node"
out=$(cat reach.out)
expect "behind a user's bubblewrap it reaches its own folder alone" equal \
  "$(grep REACHED <<<"$out" | grep -v "write-$state/gamma-base/gamma-runs$")" "$always"$'\n'"$own"
expect "nor was anything written there" test ! -e "$state/gamma-base/gamma-runs/ufab-was-here"
expect "a user cannot map users" contains "$(gamma provider init --run-as $theirs && gamma provider check || true)" \
  "FAIL  this user may not start scripts as another"
wait_until 20 grep -q 'section was read again' "$state/gamma-base/gamma/node.log"
job=$(ufab beta submit --parsable -o never.out --wrap "touch $state/work/ran")
wait_until 20 grep -q "declined: run-as: the node may not start scripts as another user" "$state/gamma-base/gamma/node.log"
expect "and then runs nothing" test ! -e "$state/work/ran"
ufab beta cancel "$job" >/dev/null
gamma provider drain >/dev/null
end_gamma
ufab alpha provider resume >/dev/null

# --- training -------------------------------------------------------------------------------------------------------
ufab beta provider resume >/dev/null
train() { # train "what": on both providers; the leader's output has the digest
  job=$(ufab beta submit --parsable --providers=2 train.sh)
  ufab beta wait -q "$job" || fail "$1"
  expect "the digest of $1" equal "$(cat "$state"/*-runs/job-"$job"-1/output | final_digest)" "$reference"
}
for name in alpha beta; do settings $name --run-as $ours --run-as beta=$theirs; done
train "two providers under mapped users"
expect "whose files are theirs" equal "$(stat -c %U "$state/alpha-runs/job-$job-1/out/windows.jsonl")" $theirs
# Every window of that was fetched from where isolated runs live, and re-executed; the others' digests say enough.
sed -i 's/ --verify=exact:100%//' train.sh
for name in alpha beta; do settings $name --isolation bubblewrap; done
train "two providers under bubblewrap"
for name in alpha beta; do settings $name --isolation bubblewrap --run-as $ours --isolation-network none; done
train "two providers under both, where ordinary scripts have no network"
for home in chain alpha beta; do ufab $home audit verify >/dev/null; done
echo "isolation: $reference under mapped users, bubblewrap and both"
