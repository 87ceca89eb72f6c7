# SPDX-License-Identifier: MPL-2.0
"""Many services: layers that need each other, and a milestone that needs the last one."""

from tests.smf.manifests import Needs, bundle, service

MILESTONE = "svc:/site/many/all:default"


def layers(count: int, depth: int) -> list[list[str]]:
    """Names of services, layer by layer."""
    width = count // depth
    return [[f"site/many/s{layer}-{n}" for n in range(width)] for layer in range(depth)]


def manifest(count: int, depth: int, start: str = "/bin/true") -> str:
    """Transient services, enabled; each needs two of the layer below, and restarts with them."""
    services = []
    below: list[str] = []
    for layer in layers(count, depth):
        for number, name in enumerate(layer):
            on = sorted({below[number], below[(number + 1) % len(below)]}) if below else []
            services.append(_one(name, start, on))
        below = layer
    services.append(_one("site/many/all", ":true", below))
    return bundle(*services)


def _one(name: str, start: str, on: list[str]) -> str:
    needs = [Needs(on, "require_all", "restart")] if on else []
    text = service(name, start, start, duration="transient", needs=needs, enabled=True)
    return text[text.index("<service name") : text.index("</service_bundle>")]
