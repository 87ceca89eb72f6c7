# SPDX-License-Identifier: MPL-2.0
"""Who we are to a registry: /var/imgadm/auth.json, as `docker login` writes it."""

from urllib.parse import urlsplit

from hull.image.reference import index_name, registry_host
from hull.linux.files import read_json
from hull.paths import Paths


def credentials(paths: Paths, url: str) -> str:
    """Base64 of USER:PASSWORD for the registry at `url`, empty for none. Raises Corrupt."""
    try:
        data = read_json(paths.imgadm / "auth.json")
    except FileNotFoundError:
        return ""
    auths = data.get("auths") if isinstance(data, dict) else None
    for key, entry in (auths if isinstance(auths, dict) else {}).items():
        # A host, or the URL of an API of it: https://index.docker.io/v1/
        host = urlsplit(key).netloc if "://" in key else key.partition("/")[0]
        if index_name(host) == registry_host(url) and isinstance(entry, dict):
            return str(entry.get("auth") or "")
    return ""
