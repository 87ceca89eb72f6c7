# SPDX-License-Identifier: MPL-2.0
"""The client's pure half: where it sends its requests. The rest is tested against real servers."""

import pytest

from hull.errors import InvalidPayload
from hull.image.sources import check_url
from hull.image.web import Server, endpoint


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://images.example.com", "https://images.example.com/ping?a=b"),
        ("https://images.example.com/", "https://images.example.com/ping?a=b"),
        ("http://[::1]:8080/img/", "http://[::1]:8080/img/ping?a=b"),
        ("https://x/?channel=dev", "https://x/ping?channel=dev&a=b"),
    ],
)
def test_endpoints(url: str, expected: str) -> None:
    assert endpoint(Server(url), "/ping", {"a": "b"}) == expected


@pytest.mark.parametrize(
    "url", ["", "x", "/etc/passwd", "file:///etc/passwd", "ftp://x/", "http:///"]
)
def test_only_web_servers_are_sources(url: str) -> None:
    with pytest.raises(InvalidPayload):
        check_url(url)
