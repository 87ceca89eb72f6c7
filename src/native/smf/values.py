# SPDX-License-Identifier: MPL-2.0
"""The types of properties, and how a value of each is written. One row a type."""

from collections.abc import Callable

from smf.errors import BadValue

MOST_VALUE = 4095  # bytes
_TRUE, _FALSE = ("true", "1"), ("false", "0")


def _boolean(text: str) -> str:
    if text.lower() in _TRUE:
        return "true"
    if text.lower() in _FALSE:
        return "false"
    raise ValueError("true or false")


def _number(least: int, most: int) -> Callable[[str], str]:
    def number(text: str) -> str:
        digits = text.removeprefix("-")
        base = 16 if digits[:2].lower() == "0x" else 10
        try:
            value = int(text, base)
        except ValueError:
            value = most + 1
        if not least <= value <= most or "_" in text:
            raise ValueError(f"a number from {least} to {most}")
        return str(value)

    return number


def _time(text: str) -> str:
    seconds, _, fraction = text.partition(".")
    if not (seconds.removeprefix("-").isdigit() and (fraction or "0").isdigit()):
        raise ValueError("seconds, with nanoseconds after a dot")
    if len(fraction) > 9:
        raise ValueError("at most nine digits of a second")
    sign = "-" if seconds.startswith("-") else ""
    return f"{sign}{int(seconds.removeprefix('-'))}.{fraction.ljust(9, '0')}"


def _opaque(text: str) -> str:
    if len(text) % 2:
        text = "0" + text
    try:
        return bytes.fromhex(text).hex()
    except ValueError:
        raise ValueError("hexadecimal digits") from None


def _string(text: str) -> str:
    if "\0" in text:
        raise ValueError("a string without NUL")
    return text


def _uri(text: str) -> str:
    scheme, colon, _ = text.partition(":")
    if not colon or not scheme[:1].isalpha() or not scheme.replace("+", "a").isalnum():
        raise ValueError("a URI: SCHEME:REST")
    return text


def _fmri(text: str) -> str:
    if not text.startswith(("svc:/", "lrc:/", "file:", "pkg:", "http:", "https:")):
        raise ValueError("an FMRI: svc:/... or file:...")
    return text


def _hostname(text: str) -> str:
    labels = text.rstrip(".").split(".")
    if len(text) > 255 or not all(
        0 < len(label) < 64
        and label.replace("-", "a").isalnum()
        and label.isascii()
        and label[0] != "-" != label[-1]
        for label in labels
    ):
        raise ValueError("a host name")
    return text


def _address(version: int) -> Callable[[str], str]:
    def address(text: str) -> str:
        import ipaddress  # dear, and few services have an address

        found = ipaddress.ip_interface(text)
        if version not in (0, found.version):
            raise ValueError(f"an IPv{version} address")
        return text

    return address


def _host(text: str) -> str:
    try:
        return _address(0)(text)
    except ValueError:
        return _hostname(text)


# Each type: the one that it is a kind of, and what makes a text its canonical form.
TYPES: dict[str, tuple[str, Callable[[str], str]]] = {
    "boolean": ("", _boolean),
    "count": ("", _number(0, (1 << 64) - 1)),
    "integer": ("", _number(-(1 << 63), (1 << 63) - 1)),
    "time": ("", _time),
    "opaque": ("", _opaque),
    "astring": ("", _string),
    "ustring": ("", _string),
    "uri": ("ustring", _uri),
    "fmri": ("uri", _fmri),
    "host": ("ustring", _host),
    "hostname": ("host", _hostname),
    "net_address": ("host", _address(0)),
    "net_address_v4": ("net_address", _address(4)),
    "net_address_v6": ("net_address", _address(6)),
}


def canonical(kind: str, text: str) -> str:
    """A value in its canonical form. BadValue, naming type and value."""
    if kind not in TYPES:
        raise BadValue(f'there is no type "{kind}"; there are {", ".join(TYPES)}')
    try:
        if len(text.encode("utf-8", "surrogateescape")) > MOST_VALUE:
            raise BadValue(f"a value is at most {MOST_VALUE} bytes long")
        return TYPES[kind][1](text)
    except ValueError as exc:
        raise BadValue(f'"{text}" is no {kind}: {exc}') from None


def is_kind_of(kind: str, other: str) -> bool:
    """Whether each value of a type is one of another type."""
    while kind and kind != other:
        kind = TYPES[kind][0]
    return bool(kind)
