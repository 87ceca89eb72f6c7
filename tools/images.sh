#!/usr/bin/env bash
# SPDX-License-Identifier: MPL-2.0
# Builds the images of image/*.toml into $HULL_IMAGES, each only when its recipe has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${HULL_IMAGES:=/var/cache/hull/images}"
mkdir -p "$HULL_IMAGES"
for recipe in "${@:-base-64 debian-13}"; do
    for name in $recipe; do
        want=$(cat "image/$name.toml" $(find "image" -type f -path "image/$name/*" | sort) \
            src/hull/image/build.py src/hull/image/recipe.py | sha256sum)
        if [ "$(cat "$HULL_IMAGES/.$name.stamp" 2>/dev/null)" = "$want" ]; then
            continue
        fi
        rm -f "$HULL_IMAGES/$name"-*
        bin/mkimage "image/$name.toml" -o "$HULL_IMAGES"
        echo "$want" >"$HULL_IMAGES/.$name.stamp"
    done
done
