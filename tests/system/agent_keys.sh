#!/usr/bin/env bash
# Two keys: the organisation's is moved off the node, which works on with its agent's. It trains with another
# organisation, cannot overspend and moves no money; the owner signs with --key; a revoked agent ends at once.
source "$(dirname "$0")/lib.sh"
start_federation alpha beta
training_files 4 2
sed -i 's/--verify=exact:100%/--verify=exact:100% --providers=2 --shares=4:4/' train.sh
printf '#!/bin/sh\n#SBATCH --ntasks=1 --time=1\necho hello\n' >hello.sh
safe=$state/safe
mkdir -m 700 "$safe"

# refuse STATUS "part of the line" COMMAND…
refuse() {
  local wanted=$1 part=$2 status=0
  shift 2
  "$@" >stdout 2>stderr || status=$?
  expect "exit status of: $*" equal "$status" "$wanted"
  expect "one line on stderr of: $*" equal "$(wc -l <stderr)" 1
  expect "its text, of: $*" contains "$(cat stderr)" "$part"
}
balance() { ufab chain account balance --all | awk -v o="$1" '$1 == o {print $2}'; }
agent_field() { ufab alpha agent status --json | field "$1"; }
restart() { ufab alpha down >/dev/null; ufab alpha up >/dev/null; }
works() { # works WHAT: a script and a training of both organisations run to their end
  local job
  job=$(ufab alpha submit --parsable --prefer=alpha hello.sh)
  expect "$1: a script of alpha runs" ufab alpha wait -q "$job"
  job=$(ufab beta submit --parsable train.sh)
  expect "$1: beta trains with alpha" ufab beta wait -q "$job"
  expect "$1: to the same digest" equal "$(final_digest <"$state/alpha/jobs/$job/output")" "$reference"
  job=$(ufab alpha submit --parsable train.sh)
  expect "$1: alpha trains with beta" ufab alpha wait -q "$job"
}

# Nobody has an agent at first; the validator never has.
expect "one key" contains "$(ufab alpha agent status)" "none: the organisation's own key signs everything"
refuse 1 "the validator's node" ufab chain agent enroll
expect "no key is made there" [ ! -e "$state/chain/agent.key" ]
refuse 1 "alpha has no agent enrolled" ufab alpha agent allowance 5
refuse 2 "--allowance: amount 'x'" ufab alpha agent enroll --allowance x

# Enrolled, the organisation's key leaves.
ufab alpha agent enroll --allowance 20 >enrolled
expect "it says what to do" contains "$(cat enrolled)" "move org.key"
expect "its key is the owner's alone" equal "$(stat -c %a "$state/alpha/agent.key")" 600
expect "it signs at once" equal "$(agent_field signs_with)" agent
refuse 1 "alpha has an agent enrolled" ufab alpha agent enroll
ufab alpha account stake 1 >/dev/null  # org.key is still here
ufab alpha down >/dev/null
mv "$state/alpha/org.key" "$safe/org.key"
chmod 644 "$state/alpha/agent.key"
refuse 3 "agent.key: others may read this key" ufab alpha up
chmod 600 "$state/alpha/agent.key"
ufab alpha up >/dev/null
expect "org.key is gone" contains "$(ufab alpha agent status)" "signs with the agent's key; org.key is not here"
ufab alpha provider drain >/dev/null
ufab alpha provider resume >/dev/null
ufab alpha provider init --price-cpu-hour 50 >/dev/null  # or a short script costs nothing
ufab alpha provider enroll >/dev/null
works "with the agent's key"
granted=$(($(agent_field allowance_micro) + $(agent_field escrow_micro) + $(agent_field spent_micro)))
expect "what is left and spent is what was granted" equal "$granted" 20000000
expect "something was spent" [ "$(agent_field spent_micro)" -gt 0 ]

# What it cannot: spend more, move money, change its allowance.
refuse 1 "agent of alpha: allowance left" ufab alpha submit --budget=25 hello.sh
expect "and says what it would take" contains "$(cat stderr)" "the order needs 25 UNC"
before=$(balance alpha)
for command in "account transfer beta 1" "account stake 1" "account unstake 1" "agent allowance 99" "agent revoke" \
  "agent enroll"; do
  # shellcheck disable=SC2086
  refuse 1 "--key FILE" ufab alpha $command
done
refuse 1 "is no organisation's own present key" ufab alpha account transfer beta 1 --key "$state/alpha/agent.key"
expect "nothing has moved" equal "$(balance alpha)" "$before"

# The owner signs elsewhere.
ufab alpha account transfer beta 3 --memo "from the safe" --key "$safe/org.key" >transferred
expect "it says for whom" contains "$(cat transferred)" "3 UNC to beta, block"
expect "whose key it is" contains "$(cat transferred)" "signed for alpha"
UFAB_ORG_KEY=$safe/org.key ufab alpha account stake 1 >/dev/null
UFAB_ORG_KEY=$safe/org.key ufab alpha account unstake 1 >/dev/null
refuse 1 "no organisation 'nobody'" ufab alpha account transfer nobody 1 --key "$safe/org.key"
refuse 1 "the balance is" ufab alpha account transfer beta 99999 --key "$safe/org.key"
chmod 640 "$safe/org.key"
refuse 1 "others may read this key" ufab alpha account transfer beta 1 --key "$safe/org.key"
chmod 600 "$safe/org.key"
refuse 1 "No such file" ufab alpha account transfer beta 1 --key "$safe/absent.key"
expect "the key did not stay behind" [ ! -e "$state/alpha/org.key" ]
ufab alpha agent allowance 0 --key "$safe/org.key" >/dev/null
refuse 1 "agent of alpha: allowance left 0 UNC" ufab alpha submit hello.sh
ufab alpha agent allowance 7 --key "$safe/org.key" >/dev/null
job=$(ufab alpha submit --parsable --prefer=alpha hello.sh)
ufab alpha wait -q "$job"

# Revoked, on another's node: at once, for good, and what it has ordered is on record as its own.
first=$(agent_field key)
ufab beta agent revoke --reason "the node was stolen" --key "$safe/org.key" >/dev/null
refuse 1 "revoked" ufab alpha submit hello.sh
refuse 1 "revoked" ufab alpha provider drain
gone() { ufab alpha agent status | grep -q "can sign nothing"; }
wait_until 10 gone
refuse 1 "that is the key of beta" ufab alpha agent enroll --key "$state/beta/org.key"
ufab alpha agent enroll --allowance 10 --key "$safe/org.key" >enrolled
expect "it says what to do" contains "$(cat enrolled)" "show the agent's key"
expect "with another key" [ "$(agent_field key)" != "$first" ]
restart
works "with the next agent's key"
expect "its orders are marked" contains "$(ufab alpha account history --json)" '"by_agent":true'
expect "its records too" contains "$(ufab alpha audit job "$job")" "alpha's agent"
for home in chain alpha beta; do
  expect "the ledger of $home is in order" ufab "$home" audit verify >/dev/null
done
echo "agent keys: the node worked without org.key, and no further than it may"
