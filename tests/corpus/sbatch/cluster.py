"""A Slurm cluster for recordings: munged and slurmctld only, on loopback, without any slurmd.

Its nodes never answer, so whatever is submitted stays pending and can be read back and cancelled. The
configuration is part of the recording: what sbatch accepts depends on the partitions, features, gres and
licenses that a cluster knows.
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONFIGURATION = """
ClusterName=corpus
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={other_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=0
SlurmctldTimeout=600
SlurmdTimeout=3600
MinJobAge=2
MaxJobCount=5000
MaxArraySize=1001
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PriorityType=priority/basic
DefMemPerNode=100
GresTypes=gpu,fpga
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
Licenses=matlab:10,ansys:4
NodeName=cn[1-16] NodeAddr=127.0.0.1 Port={other_port} Sockets=2 CoresPerSocket=16 ThreadsPerCore=2 RealMemory=4000000 TmpDisk=2000000 Feature=intel,avx512,ib Gres=gpu:a100:4,gpu:v100:4,fpga:2 State=UNKNOWN
NodeName=cn[17-32] NodeAddr=127.0.0.1 Port={other_port} Sockets=2 CoresPerSocket=16 ThreadsPerCore=2 RealMemory=4000000 TmpDisk=2000000 Feature=amd,avx2,ib Gres=gpu:a100:4,gpu:v100:4,fpga:2 State=UNKNOWN
PartitionName=batch Nodes=cn[1-32] Default=YES MaxTime=INFINITE DefaultTime=60 OverSubscribe=YES State=UP
PartitionName=debug Nodes=cn[1-32] MaxTime=INFINITE DefaultTime=30 OverSubscribe=YES State=UP
PartitionName=gpu Nodes=cn[1-32] MaxTime=INFINITE DefaultTime=60 OverSubscribe=YES State=UP
"""


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def program(name):
    for folder in ("/usr/sbin", "/usr/local/sbin", "/sbin"):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return shutil.which(name)


class Cluster:
    """Context manager: `with Cluster() as cluster: cluster.run("sbatch", …)`."""

    def __enter__(self):
        for name in ("munged", "slurmctld", "sbatch", "scontrol", "scancel"):
            if program(name) is None and shutil.which(name) is None:
                raise SystemExit(f"record: {name} is not installed")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the daemons end with whoever started them
        self.folder = tempfile.mkdtemp(prefix="ufab-corpus-")
        self.processes = []
        for name in ("state", "work"):
            os.mkdir(f"{self.folder}/{name}")
        with open(f"{self.folder}/munge.key", "wb") as key:
            key.write(os.urandom(1024))
        os.chmod(f"{self.folder}/munge.key", 0o400)
        port, other_port = free_ports(2)
        conf = CONFIGURATION.format(host=socket.gethostname().split(".")[0], port=port,
                                    other_port=other_port, folder=self.folder)
        with open(f"{self.folder}/slurm.conf", "w") as file:
            file.write(conf)
        with open(f"{self.folder}/gres.conf", "w") as file:
            file.write("Name=gpu Type=a100 Count=4\nName=gpu Type=v100 Count=4\nName=fpga Count=2\n")
        # Nothing of the caller's own Slurm or terminal gets into a recording.
        self.environment = {"PATH": os.environ["PATH"], "HOME": "/", "USER": "corpus", "LANG": "C.UTF-8",
                            "TZ": "UTC", "SLURM_CONF": f"{self.folder}/slurm.conf"}
        try:
            self.start("munged", "--foreground", "--force", "--num-threads=4",
                       f"--socket={self.folder}/munge.socket", f"--key-file={self.folder}/munge.key",
                       f"--pid-file={self.folder}/munged.pid", f"--seed-file={self.folder}/munge.seed",
                       f"--log-file={self.folder}/munged.log")
            self.wait_for("munged", lambda: os.path.exists(f"{self.folder}/munge.socket"))
            self.start("slurmctld", "-D", "-f", f"{self.folder}/slurm.conf")
            self.wait_for("slurmctld", lambda: "is UP" in self.run("scontrol", "ping").stdout)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, name, *arguments):
        log = open(f"{self.folder}/{name}.out", "wb")
        self.processes.append(subprocess.Popen([program(name), *arguments], stdout=log, stderr=log,
                                               env=self.environment, cwd=self.folder))

    def wait_for(self, name, condition):
        for _ in range(100):
            if condition():
                return
            if self.processes[-1].poll() is not None:
                break
            time.sleep(0.1)
        with open(f"{self.folder}/{name}.out", errors="replace") as log:
            raise SystemExit(f"record: {name} did not start: {log.read()[-400:]}")

    def run(self, *command, environment=None, cwd=None):
        return subprocess.run(command, env={**self.environment, **(environment or {})},
                              cwd=cwd or f"{self.folder}/work", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=60)

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
