#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Prepares src/native, which native zones see as /native: with a Python of its own, which all zones
# have in memory once, with compiled code, and with its manifests imported. A zone that finds it not
# prepared takes its image's Python, and compiles and imports for itself at its first boot.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${HULL_IMAGES:=/var/cache/hull/images}"
seed=src/native/smf/lib/svc/seed
want=$({
    cat "$HULL_IMAGES/.base-64.stamp" tools/native.sh
    find src/native -type f ! -name '*.pyc' ! -path "$seed/*" ! -path 'src/native/python/*' -print0 |
        sort -z | xargs -0 sha256sum
} | sha256sum)
[ "$(cat $seed/.stamp 2>/dev/null)" != "$want" ] || exit 0
root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
tar -xf "$HULL_IMAGES"/base-64-*.tar.zst -C "$root"

# The Python of base-64, without what nothing here imports, and the libraries that it is linked with.
rm -rf src/native/python
mkdir -p src/native/python/{bin,lib}
version=$(basename "$(readlink "$root/usr/bin/python3")")
cp -a "$root/usr/lib/$version" src/native/python/lib/
(
    cd "src/native/python/lib/$version"
    rm -rf test idlelib tkinter turtledemo turtle.py pydoc_data unittest ensurepip venv _pyrepl
    rm -f lib-dynload/{_test,_ssl,_hashlib,_curses,_dbm,_tkinter,_codecs_,readline,xx}*
)
cp "$root/usr/bin/$version" src/native/python/bin/python3
loader=$(patchelf --print-interpreter src/native/python/bin/python3)
for library in $(chroot "$root" /bin/sh -c "ldd /usr/bin/$version /usr/lib/$version/lib-dynload/*.so" |
    sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | sort -u | grep -Ev 'lib(ssl|crypto|db|ncurses|panel|readline|tinfo)') "$loader"; do
    cp "$root$library" src/native/python/lib/
done
patchelf --set-interpreter "/native/python/lib/${loader##*/}" --force-rpath \
    --set-rpath /native/python/lib src/native/python/bin/python3

mkdir -p "$root/.zonecontrol" # what tells a zone
# shellcheck disable=SC2016  # for the inner shell
unshare --mount sh -euc 'mount --bind src/native "$1/native"
    python=/native/python/bin/python3
    chroot "$1" $python -m compileall -q /native/smf /native/mdata
    chroot "$1" /usr/bin/env PYTHONPATH=/native $python -S -m smf.manifest_seed' sh "$root"
echo "$want" >$seed/.stamp
