#!/usr/bin/env bash
# Prints what the fabric would change in a Slurm installation; changes it with --apply, and takes it back with --undo.
set -euo pipefail

usage() {
  cat <<'EOT'
usage: slurm/install.sh --conf SLURM_CONF [--bin DIR] [--spool DIR] [--apply | --undo]

  --conf FILE    the slurm.conf of slurmctld and the nodes
  --bin DIR      where ufab's programs are, at the same path on every node (default: beside this script or build/bin)
  --spool DIR    where completions are noted, on slurmctld's machine and the nodes (default /var/spool/ufab); tell the
                 provider: ufab provider init --slurm telemetry=DIR
  --apply        make the changes; without it nothing is changed
  --undo         take them back: the lines between our marks and our files, nothing else

What there is to change, each part between the marks "# ufab: begin" and "# ufab: end":
  slurm.conf       JobCompType=jobcomp/script and JobCompLoc: notes each job that has ended, for the reconciliation.
                   Left out, with a word, where the site has a JobCompType of its own.
  plugstack.conf   "optional ufab-spank.so": srun --ufab-job, --ufab-budget, and what each task used. `optional`: if it
                   is missing or fails, Slurm goes on without it.
Neither is needed to run jobs. No user's job fails and no node is drained when a part of ours fails.
EOT
}
die() { echo "install.sh: $*" >&2; exit "${status:-1}"; }

conf= bin= spool=/var/spool/ufab mode=print
while [ $# -gt 0 ]; do
  case $1 in
    --conf | --bin | --spool) [ $# -ge 2 ] || { status=2 die "$1 needs a value"; }; printf -v "${1#--}" %s "$2"; shift 2 ;;
    --apply) mode=apply; shift ;;
    --undo) mode=undo; shift ;;
    -h | --help) usage; exit 0 ;;
    *) status=2 die "unknown option $1; --help explains" ;;
  esac
done
[ -n "$conf" ] || { usage >&2; exit 2; }
[ -f "$conf" ] || die "$conf: no such file"
conf=$(realpath "$conf")
case $spool in /*) ;; *) status=2 die "--spool: an absolute path, please" ;; esac
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$bin" ]; then
  for folder in "$here" "$here/../build/bin" "$here/../bin"; do
    if [ -x "$folder/ufab-slurm-completion" ]; then bin=$(realpath "$folder"); break; fi
  done
  [ -n "$bin" ] || die "ufab-slurm-completion is not beside this script; name its folder with --bin"
fi
bin=$(realpath -m "$bin")
hook=$(dirname "$conf")/ufab-jobcomp
# A value of slurm.conf, outside our marks; names are without case.
own_lines_out() { sed '/^# ufab: begin$/,/^# ufab: end$/d' "$1"; }
setting() { own_lines_out "$conf" | sed -nE "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*([^[:space:]#]+).*/\1/Ip" | tail -n 1; }
plugstack=$(setting PlugStackConfig)
plugstack=${plugstack:-$(dirname "$conf")/plugstack.conf}

block() { printf '# ufab: begin\n%s\n# ufab: end\n' "$1"; }
conf_block= plugstack_block=
case $(setting JobCompType) in
  '' | jobcomp/none)
    conf_block=$(block "JobCompType=jobcomp/script
JobCompLoc=$hook") ;;
  *) echo "slurm.conf: JobCompType is $(setting JobCompType) already and stays; have your own script call: $bin/ufab-slurm-completion --spool $spool" ;;
esac
if [ -e "$bin/ufab-spank.so" ]; then
  plugstack_block=$(block "optional $bin/ufab-spank.so spool=$spool")
else
  echo "plugstack.conf: this build has no ufab-spank.so (it was made without Slurm's headers); left as it is"
fi
hook_text="#!/bin/sh
# Written by ufab's slurm/install.sh: slurmctld runs this when a job has ended.
exec '$bin/ufab-slurm-completion' --spool '$spool'"

# with_block FILE BLOCK: the file's text without our lines, and with the block (if any) at its end
with_block() {
  if [ -e "$1" ]; then own_lines_out "$1"; fi
  [ -z "$2" ] || printf '%s\n' "$2"
}
replace() { # replace FILE TEXT: whole or not at all, with the file's owner and mode
  local file=$1 text=$2 temporary
  temporary=$(mktemp "$file.XXXXXX")
  if [ -e "$file" ]; then
    chmod --reference="$file" "$temporary"
    chown --reference="$file" "$temporary" 2>/dev/null || true
  else
    chmod 644 "$temporary"
  fi
  printf '%s' "$text" >"$temporary"
  sync "$temporary"
  mv "$temporary" "$file"
}
change() { # change FILE BLOCK
  local file=$1 new
  new=$(with_block "$file" "$2"; printf x)
  new=${new%x}
  if [ "$mode" = print ]; then
    diff -u --label "$file" --label "$file (with ufab)" <(cat "$file" 2>/dev/null) <(printf '%s' "$new") || true
    return
  fi
  if [ -z "$new" ] && [ "$mode" = undo ]; then
    rm -f "$file"  # it was ours alone
  elif ! cmp -s <(printf '%s' "$new") "$file"; then
    replace "$file" "$new"
    echo "changed $file"
  fi
}
case $mode in
  undo)
    change "$conf" ""
    if [ -e "$plugstack" ]; then change "$plugstack" ""; fi
    if [ -e "$hook" ]; then rm "$hook"; echo "removed $hook"; fi
    echo "what was noted stays in $spool; restart slurmctld, and reconfigure the nodes (scontrol reconfigure)"
    ;;
  *)
    change "$conf" "$conf_block"
    [ -z "$plugstack_block" ] || change "$plugstack" "$plugstack_block"
    if [ "$mode" = print ]; then
      [ -z "$conf_block" ] || printf '%s (new)\n%s\n' "$hook" "$(sed 's/^/+/' <<<"$hook_text")"
      echo "nothing was changed; --apply does it"
    else
      if [ -n "$conf_block" ]; then
        replace "$hook" "$hook_text
"
        chmod 755 "$hook"
        echo "changed $hook"
      fi
      mkdir -p "$spool"
      echo "now restart slurmctld, and reconfigure the nodes (scontrol reconfigure)"
    fi
    ;;
esac
