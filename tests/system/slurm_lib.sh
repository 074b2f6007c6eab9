# What the tests with real Slurm share. Skipped (status 77) where its daemons are not installed; ./dev test installs
# them.
PATH=$PATH:/usr/sbin:/sbin
for program in munged slurmctld slurmd slurmdbd mariadbd; do
  command -v "$program" >/dev/null || { echo "skipped: no $program here"; exit 77; }
done
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
clusters_tool=$(cd "$(dirname "${BASH_SOURCE[0]}")/../slurm" && pwd)/clusters
slurm=$state/slurm
clusters() { # clusters VERB ARGUMENT…
  local verb=$1
  shift
  "$clusters_tool" "$verb" "$slurm" "$@"
}
end_clusters() {
  local status=$?
  trap - EXIT
  if [ $status -ne 0 ]; then
    local log
    for log in "$slurm"/*/slurmctld.log "$slurm"/*/slurmd.*.log; do
      [ -e "$log" ] || continue
      echo "--- $log" >&2
      grep -vE 'debug|SchedulerParameters' "$log" | tail -n 6 >&2
    done
  fi
  [ ! -s "$slurm/env" ] || clusters down || true
  set +e
  (exit $status)
  clean_up  # goes by the status
}
trap end_clusters EXIT
slurm_of() { # slurm_of CLUSTER COMMAND…
  local cluster=$1
  shift
  SLURM_CONF=$slurm/$cluster/slurm.conf "$@"
}

# start_slurm_federation CLUSTER…: as start_federation, each organisation's provider being the Slurm cluster of its
# name, with two nodes. UFAB_CHAIN_OPTIONS as there.
start_slurm_federation() {
  clusters up --clusters $# >/dev/null
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
    ufab "$name" provider init --batch slurm --slurm conf="$slurm/$name/slurm.conf" >/dev/null
    ufab "$name" up >/dev/null
    ufab chain account transfer "$name" 1000 >/dev/null
    ufab "$name" account stake 200 >/dev/null
    echo '{"schema":"ufab.provider-bench/1","mflops":10000,"tokens_per_s":1,"backend":"test","threads":2}' \
      >"$state/$name/speed.json"
    ufab "$name" provider enroll >/dev/null
  done
  mkdir -p "$state/work"
  cd "$state/work"
}
