#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Process 1 of the guest, on its real root: a plain cgroup v2 machine. Runs /run/lab/command,
# sends its exit status to the host and powers off. An error here is a panic, as in initramfs.sh.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
. /run/lab/environment

mount -t sysfs -o nosuid,nodev,noexec sys /sys
# As systemd mounts it.
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t mqueue mqueue /dev/mqueue
ln -sf /proc/self/fd /dev/fd
ln -sf fd/0 /dev/stdin
ln -sf fd/1 /dev/stdout
ln -sf fd/2 /dev/stderr
mkdir -p "/lib/modules/$(uname -r)" /run/lock
mount --bind "$MODULES" "/lib/modules/$(uname -r)"
# The kernel loads modules as they are needed, as on any Debian, except for those whose device
# nodes udev would have made.
modprobe -a loop tun

echo lab > /proc/sys/kernel/hostname
ip link set lo up

# Every controller for the children of the root; the command is in a group of its own, as it would
# be below an init system.
controllers=$(sed 's/\([^ ]\+\)/+\1/g' /sys/fs/cgroup/cgroup.controllers)
echo "$controllers" > /sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/lab

port() {
    for entry in /sys/class/virtio-ports/*; do
        if [ "$(cat "$entry/name")" = "$1" ]; then
            echo "/dev/${entry##*/}"
        fi
    done
}
output=$(port lab.output)
status=$(port lab.status)

code=0
(
    read -r self _ < /proc/self/stat
    echo "$self" > /sys/fs/cgroup/lab/cgroup.procs
    cd "$CHECKOUT"
    exec /bin/sh -c "$(cat /run/lab/command)"
) < /dev/null > "$output" 2>&1 || code=$?

# A write to the port returns when the host has the data. The disk is thrown away: no sync.
echo "$code" > "$status"
echo o > /proc/sysrq-trigger
sleep 60
