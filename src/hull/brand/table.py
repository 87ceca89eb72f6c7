# SPDX-License-Identifier: MPL-2.0
"""The brands there are."""

from hull.brand.brand import Brand
from hull.brand.joyent import Joyent
from hull.brand.lx import Lx

BRANDS: dict[str, Brand] = {
    "joyent": Joyent("joyent"),
    "joyent-minimal": Joyent("joyent-minimal"),
    "builder": Joyent("builder"),
    "lx": Lx(),
}
