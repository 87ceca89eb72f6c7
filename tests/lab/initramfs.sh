#!/bin/busybox sh
# SPDX-License-Identifier: MPL-2.0
# The guest's /init: makes its root of the host's files and leaves the rest to guest.sh.
# An error ends this script, so process 1, so the guest: the kernel panics and QEMU exits.
set -eu
export PATH=/applets
/bin/busybox mkdir /applets
/bin/busybox --install -s /applets

mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do
    insmod "/modules/$module"
done < /modules/order
. /lab/environment

# The host does not write to us, and what it changes in its files meanwhile need not be seen: so
# everything may be cached. Extended attributes (file capabilities) would cost a request at each exec.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,noxattr,msize=512000 host /lower
mount -t ext4 -o noatime /dev/vda /disk
mkdir -p /disk/upper /disk/work
mount -t overlay -o lowerdir=/lower,upperdir=/disk/upper,workdir=/disk/work overlay /root

# A checkout below /tmp or /run stays visible when those are covered.
mkdir /checkout
mount --bind "/root$CHECKOUT" /checkout
mkdir -p -m 1777 /disk/tmp
mount --bind /disk/tmp /root/tmp
mount -t tmpfs -o mode=755 run /root/run
cp -r /lab /root/run/lab
mkdir -p "/root$CHECKOUT"
mount --move /checkout "/root$CHECKOUT"
mount --move /dev /root/dev
mount --move /proc /root/proc
exec switch_root /root /bin/sh "$CHECKOUT/tests/lab/guest.sh"
