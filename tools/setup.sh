#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Installs what this machine lacks, once: Debian packages, and with "dev" the developer's tools in
# .venv. Quick when there is nothing to do. Usage: tools/setup.sh [dev] [lab] [platform] [bench]
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" != 0 ]; then
    echo "Hull needs root: it makes mounts, links and cgroups. Try: sudo make ${MAKECMDGOALS:-demo}" >&2
    echo "Where there is no sudo: su -c 'make ${MAKECMDGOALS:-demo}'" >&2
    exit 1
fi
if ! [ -r /etc/debian_version ]; then
    echo "Hull runs on Debian 12 and 13; this is another system." >&2
    exit 1
fi

packages=(python3 python3-h11 crun conmon btrfs-progs nftables libnftables1 iproute2 dnsmasq-base
    util-linux mmdebstrap debian-archive-keyring zstd xz-utils bzip2 tar kmod patchelf)
for part in "$@"; do
    case $part in
    dev) packages+=(python3-venv git busybox-static e2fsprogs iputils-ping openssh-client openssh-server curl tmux procps shellcheck man-db docker-registry squashfs-tools graphviz) ;;
    lab) packages+=(qemu-system-x86) ;;
    platform) packages+=(squashfs-tools binutils grub-pc-bin grub-efi-amd64-bin grub-common xorriso mtools) ;;
    bench) packages+=(podman lxc systemd-container) ;;
    *)
        echo "unknown part: $part" >&2
        exit 2
        ;;
    esac
done

installed() {
    dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

install() {
    echo "Installing $*" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The peers' packages would start daemons and make bridges; the bench starts its own, elsewhere.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e $policy ]; then
        "$@"
        return
    fi
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
    "$@"
    rm -f $policy
    trap - EXIT
}

# Debian 13 has it; Debian 12 in its backports, which are then enabled. The bench does without it.
install_incus() {
    local list=/etc/apt/sources.list.d/hull-bench.list
    if ! apt-cache show incus-base >/dev/null 2>&1; then
        grep -qx 'VERSION_CODENAME=bookworm' /etc/os-release || return 0
        echo "Enabling bookworm-backports for Incus, in $list" >&2
        echo "deb http://deb.debian.org/debian bookworm-backports main" >$list
        apt-get update -qq || true
    fi
    install incus-base && return
    echo "Incus cannot be installed here: make bench goes without it" >&2
}

missing=()
for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    without_services install "${missing[@]}"
fi
case " $* " in
*" bench "*) installed incus-base || without_services install_incus ;;
esac

case " $* " in
*" dev "*)
    tools=$(/usr/bin/python3 -c 'import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["dev"])')
    # A machine upgraded to a new Debian has a new Python, which an old .venv does not work with.
    want="$(/usr/bin/python3 --version): $tools"
    if [ "$(cat .venv/hull-stamp 2>/dev/null)" != "$want" ]; then
        echo "Installing the developer's tools in .venv" >&2
        rm -rf .venv
        /usr/bin/python3 -m venv --system-site-packages .venv
        # shellcheck disable=SC2086  # a word each
        .venv/bin/pip install -q --disable-pip-version-check $tools
        echo "$want" >.venv/hull-stamp
    fi
    ;;
esac
