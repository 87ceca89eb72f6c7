#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Builds the images of image/*.toml into $HULL_IMAGES, each only when its recipe has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${HULL_IMAGES:=/var/cache/hull/images}"
mkdir -p "$HULL_IMAGES"
[ $# -gt 0 ] || set -- base-64 debian-13
for name in "$@"; do
    want=$(find "image/$name.toml" "image/$name" image/common src/hull/image/build.py \
        src/hull/image/recipe.py tools/images.sh -type f -print0 | sort -z | xargs -0 sha256sum)
    if [ "$(cat "$HULL_IMAGES/.$name.stamp" 2>/dev/null)" = "$want" ]; then
        continue
    fi
    rm -f "$HULL_IMAGES/$name"-*
    options=()
    # The seed's JSON (examples/nsa-box.json) names its image by this UUID.
    [ "$name" = base-64 ] && options=(--uuid 398deede-c025-11e3-8b24-f3ba141900bd)
    bin/mkimage "image/$name.toml" -o "$HULL_IMAGES" "${options[@]}"
    echo "$want" >"$HULL_IMAGES/.$name.stamp"
done
