#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Prepares src/native, which native zones see as /native: compiled by the Python that base-64 has, and
# with its manifests imported. Without that, each zone does both for itself at its first boot.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${HULL_IMAGES:=/var/cache/hull/images}"
seed=src/native/smf/lib/svc/seed
want=$({
    cat "$HULL_IMAGES/.base-64.stamp" tools/native.sh
    find src/native -type f ! -name '*.pyc' ! -path "$seed/*" -print0 | sort -z | xargs -0 sha256sum
} | sha256sum)
[ "$(cat $seed/.stamp 2>/dev/null)" != "$want" ] || exit 0
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
tar -xf "$HULL_IMAGES"/base-64-*.tar.zst -C "$root"
mkdir -p "$root/.zonecontrol" # what tells a zone
# shellcheck disable=SC2016  # for the inner shell
unshare --mount sh -euc 'mount --bind src/native "$1/native"
    chroot "$1" /usr/bin/python3 -m compileall -q /native
    chroot "$1" /usr/bin/env PYTHONPATH=/native /usr/bin/python3 -S -m smf.manifest_seed' sh "$root"
echo "$want" >$seed/.stamp
