#!/bin/bash
# namespaces.sh DIRECTORY PROGRAM [ARGUMENT...]: the first process of namespaces of its own (mount, pid, net, ipc, uts).
#
# Makes them a machine that a kubelet can work on, then runs the program. Nothing that is written here, mounted or
# configured reaches the machine outside, nothing that is sent from here leaves, and all of it ends with this process.
set -eu
directory=$1
shift
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$directory"
mkdir -p "$directory"/{sysctl,proc,lib,lib-work}

# Where containerd, CNI and the kubelet write whatever they are configured to.
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/log
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$directory/lib,workdir=$directory/lib-work" /var/lib

# The kubelet insists on these values: it gets files that have them, and the kernel keeps its own. A second proc stays
# as it is, because in a user namespace none can be mounted where only a partly covered one is seen.
mount -t proc proc "$directory/proc"
pretend() {
  local file=$directory/sysctl/${1//\//.}
  echo "$2" >"$file"
  mount --bind "$file" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

# 10.0.0.1 is the Service `kubernetes`, answered by the API server itself, so that no kube-proxy is needed. A kubelet
# refuses a loopback address, so the node's is one end of a pair of which the other leads nowhere.
ip link set lo up
ip address add 10.0.0.1/32 dev lo
ip link add eth0 type veth peer name nowhere
ip address add 192.168.77.1/24 dev eth0
ip link set nowhere up
ip link set eth0 up
ip route add default dev eth0
hostname n1
echo "nameserver 127.0.0.1" >"$directory/resolv.conf"

# Not `exec`: the first process is also who waits for the orphans, and a shell does.
status=0
"$@" </dev/null || status=$?
if [ -n "${PODGATE_NODE_LOGS:-}" ]; then
  mkdir -p "$PODGATE_NODE_LOGS"
  find "$directory" -maxdepth 2 -name '*.log' -exec cp {} "$PODGATE_NODE_LOGS" \;
fi
exit "$status"
