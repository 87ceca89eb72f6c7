#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# The tour of the README: a host, an image, and the zone of examples/nsa-box.json. Can be repeated.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${HULL_IMAGES:=/var/cache/hull/images}"
PATH=$PWD/bin:$PATH
address=127.0.0.1:${HULL_DEMO_PORT:-8080}
image=398deede-c025-11e3-8b24-f3ba141900bd

show() {
    printf '\n\033[1m# %s\033[0m\n' "$*"
    "$@"
}

show hull up
printf '\n\033[1m# tools/images.sh base-64\033[0m   (mkimage, when there is no such image yet: a minute or two)\n'
tools/images.sh base-64
tools/native.sh

imgapid --listen "$address" "$HULL_IMAGES" &
server=$!
stop_server() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    imgadm sources -d "http://$address" >/dev/null 2>&1 || true
}
trap stop_server EXIT
for _ in $(seq 50); do
    if ! kill -0 "$server" 2>/dev/null; then
        echo "The demo's image server needs $address: HULL_DEMO_PORT=N names another port." >&2
        exit 1
    fi
    imgadm sources -a "http://$address" >/dev/null 2>&1 && break
    sleep 0.1
done

show imgadm sources
show imgadm avail
show imgadm import "$image"
show cat examples/nsa-box.json
uuid=$(vmadm lookup alias=nsa-box)
if [ -z "$uuid" ]; then
    show vmadm create -f examples/nsa-box.json
    uuid=$(vmadm lookup -1 alias=nsa-box)
fi
show vmadm list
# shellcheck disable=SC2016  # the zone's shell expands it
show zlogin nsa-box 'hostname; . /etc/os-release; echo $PRETTY_NAME; ip -brief addr show net0'

cat <<END

The zone is up and stays up. What to try next (bin/ is in this checkout):

  bin/zlogin nsa-box                          a shell in it; exit leaves
  bin/vmadm get $uuid
  bin/vmadm update $uuid cpu_cap=50 max_physical_memory=1024
  bin/vmadm create-snapshot $uuid before
  bin/vmadm rollback-snapshot $uuid before
  bin/vmadm events -r                         what happens, as it happens
  bin/vmadm --help, man pages in docs/man     and every property in docs/man/vmadm-properties.8.md

  make down             stops it all and leaves nothing but the pool; make up brings it back
  make down DESTROY=1   removes the pool too
END
