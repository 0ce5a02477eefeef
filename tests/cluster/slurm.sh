#!/usr/bin/env bash
# A Slurm of one node and two stand-in cards, all of it in one folder: slurm.sh start FOLDER, slurm.sh stop FOLDER.
#
# As root, with Debian's slurmctld, slurmd, slurm-client and munge. It shares nothing with a Slurm of this machine (its own
# ports, key and socket), but for the place where programs look for it, /etc/slurm/slurm.conf, a link while it runs:
# Snakemake takes SLURM_CONF out of its jobs' environment. The node claims more cores and memory than the machine may
# have, so that two jobs that ask as a rule does fit side by side; nothing computes on the cards, which are /dev/null and
# /dev/zero.
set -euo pipefail

usage() { echo "usage: $0 start|stop FOLDER" >&2; exit 2; }
[ $# -eq 2 ] || usage
mkdir -p "$2"
folder=$(cd "$2" && pwd)
export SLURM_CONF=$folder/slurm.conf
PATH=$PATH:/usr/sbin:/sbin
cards=(/dev/null /dev/zero)
DAEMONS=(slurmd slurmctld munged)
FOUND=/etc/slurm/slurm.conf

# Whether a process of this folder's pid file lives: that of another program may have got its number since.
alive() { [ -s "$folder/$1.pid" ] && [ "$(cat "/proc/$(cat "$folder/$1.pid")/comm" 2> /dev/null)" = "$1" ]; }

wait_for() { # seconds command...
    local left=$(($1 * 5))
    shift
    until "$@"; do
        [ $((left -= 1)) -gt 0 ] || { echo "error: waited in vain for: $*; see $folder/*.log" >&2; return 1; }
        sleep 0.2
    done
}

answers() { [ "$(sinfo --noheader --format %T 2> /dev/null)" = idle ]; }

queue_is_empty() { [ -z "$(squeue --noheader 2> /dev/null)" ]; }

stop() {
    scancel --quiet --partition cards 2> /dev/null || true
    wait_for 60 queue_is_empty || true # jobs have KillWait to end in, and slurmd waits for them
    local daemon pid pids=() # a daemon removes its pid file before it ends
    for daemon in "${DAEMONS[@]}"; do
        if alive "$daemon"; then pids+=("$(cat "$folder/$daemon.pid")"); fi
    done
    for pid in "${pids[@]}"; do kill "$pid"; done
    for pid in "${pids[@]}"; do wait_for 15 eval "! kill -0 $pid 2> /dev/null"; done
    if [ "$(readlink "$FOUND")" = "$SLURM_CONF" ]; then rm "$FOUND"; fi
}

start() {
    local program
    for program in munged slurmctld slurmd sbatch; do
        command -v "$program" > /dev/null || { echo "error: $program is not installed" >&2; exit 1; }
    done
    [ "$(id -u)" -eq 0 ] || { echo "error: slurmd starts other users' jobs: run this as root" >&2; exit 1; }
    [ ! -e "$FOUND" ] || { echo "error: $FOUND is there: this machine has a Slurm, leave it alone" >&2; exit 1; }
    local node ports
    node=$(hostname -s)
    ports=$(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(server.getsockname()[1] for server in held))')
    mkdir -p "$folder/ctld" "$folder/d"
    chmod 755 "$folder"
    cat > "$folder/slurm.conf" << CONF
ClusterName=test
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=${ports% *}
SlurmdPort=${ports#* }
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/d
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerParameters=sched_interval=2
KillWait=30
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$node NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:${#cards[@]} State=UNKNOWN
PartitionName=cards Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
    {
        echo AutoDetect=off
        printf "NodeName=$node Name=gpu File=%s\n" "${cards[@]}"
    } > "$folder/gres.conf"
    printf 'CgroupAutomount=no\nCgroupPlugin=cgroup/v1\n' > "$folder/cgroup.conf"
    (umask 077; head -c 1024 /dev/urandom > "$folder/munge.key")

    trap 'stop' ERR
    mkdir -p "$(dirname "$FOUND")"
    ln -sfn "$SLURM_CONF" "$FOUND"  # one that leads nowhere is left of a folder that is gone
    # --force: its folder may lie below one that everybody writes to, such as /tmp.
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
        --log-file "$folder/munged.log" --seed-file "$folder/munge.seed"
    slurmctld -c
    slurmd
    wait_for 30 answers
    trap - ERR
}

case $1 in
    start) start ;;
    stop) stop ;;
    *) usage ;;
esac
