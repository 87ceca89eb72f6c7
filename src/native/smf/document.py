# SPDX-License-Identifier: MPL-2.0
"""A manifest as elements that know their lines: XML without entities, with what it includes.

Whatever is wrong is added to `Problems`, so that all of it can be told at once.
"""

import os
import re
from xml.parsers import expat

from smf.errors import SmfError

MOST_BYTES = 16 << 20
MOST_DEPTH = 32  # of elements; a bundle in a bundle is all that could be deep
MOST_INCLUDES = 256
INCLUDE = "xi:include"
_UNCLOSED = (
    expat.errors.XML_ERROR_TAG_MISMATCH,
    expat.errors.XML_ERROR_NO_ELEMENTS,
    expat.errors.XML_ERROR_UNCLOSED_TOKEN,
)
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), "?")
HEAD = """<?xml version='1.0'?>
<!DOCTYPE service_bundle SYSTEM '/usr/share/lib/xml/dtd/service_bundle.dtd.1'>
"""
_QUOTED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;"}
_ESCAPES = str.maketrans(_QUOTED | {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})
# References to entities, and what is none though it looks like one.
_REFERENCE = re.compile(
    rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|&(?!(?:amp|lt|gt|quot|apos);)([^\s;&<#]+);",
    re.DOTALL,
)


class ManifestError(SmfError):
    """A file that is no manifest: `problems` has a line "FILE:LINE: what" for each of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Element:
    """An element: attributes are those that were written, until smf.dtd adds what it implies."""

    __slots__ = ("attributes", "children", "file", "line", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], file: str, line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Element] = []
        self.file = file
        self.line = line
        self.text = ""

    def all(self, *tags: str) -> list["Element"]:
        return [child for child in self.children if child.tag in tags]


class Problems:
    """What is wrong in a file and in those that it includes."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], None] = {}

    def add(self, file: str, line: int, text: str) -> None:
        self._found[file, line, text] = None

    def at(self, element: Element, text: str) -> None:
        self.add(element.file, element.line, text)

    def check(self) -> None:
        """ManifestError if there are any."""
        if self._found:
            lines = sorted(self._found, key=lambda each: each[:2])
            raise ManifestError([printable(f"{file}:{line}: {text}") for file, line, text in lines])


def printable(text: str) -> str:
    """Text from a file as a terminal may have it."""
    return text.translate(_CONTROL)


class _Refused(Exception):
    """What is well-formed, and not read any further."""


class _Builder:
    """Makes elements of what expat says."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root: Element | None = None
        self.doctype = False
        self._open: list[Element] = []
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        # A DOCTYPE of the file's own may not put in attributes; ours does.
        parser.specified_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, self.name, self.parser.CurrentLineNumber)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        if len(self._open) > MOST_DEPTH:
            raise _Refused(f"elements are in one another more than {MOST_DEPTH} deep")

    def _end(self, tag: str) -> None:
        del tag
        self._open.pop()

    def still_open(self) -> str:
        """Which element of which line ought to end next, for a message."""
        if not self._open:
            return ""
        last = self._open[-1]
        return f"; <{last.tag}> of line {last.line} is not closed"

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _doctype(self, *_: object) -> None:
        self.doctype = True

    def _entity(self, name: str, *_: object) -> None:
        raise _Refused(f"entity {name} is declared; write out what it stands for")


def parse(text: bytes, name: str, problems: Problems) -> Element | None:
    """The root element of a document; includes are still to be resolved."""
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        problems.add(name, 1, "this is UTF-16; save it as UTF-8")
        return None
    builder = _Builder(name)
    try:
        builder.parser.Parse(text, True)  # noqa: FBT003  # expat's: it is all of it
    except expat.ExpatError as exc:
        why = expat.errors.messages[exc.code]
        if why in _UNCLOSED:
            why += builder.still_open()
        problems.add(name, exc.lineno, f"not well-formed XML: {why}")
    except _Refused as exc:
        problems.add(name, builder.parser.CurrentLineNumber, str(exc))
    except (LookupError, ValueError) as exc:  # an encoding that there is not, and the like
        problems.add(name, 1, f"{exc}; save it as UTF-8")
    else:
        if builder.doctype:
            _find_references(text, name, problems)
        return builder.root
    return None


def _find_references(text: bytes, name: str, problems: Problems) -> None:
    """With a DOCTYPE, expat takes an unknown entity for one of the DTD's, and drops it."""
    for found in _REFERENCE.finditer(text):
        if found[1]:
            line = text.count(b"\n", 0, found.start()) + 1
            entity = found[1].decode("utf-8", "replace")
            problems.add(name, line, f"there is no entity {entity}; a plain & is written &amp;")


def load(path: str, problems: Problems) -> Element | None:
    """Read a file and all that it includes. SmfError if it cannot be read."""
    return include(parse(_read(path), path, problems), os.path.dirname(path), problems)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as exc:
        raise SmfError(f"{printable(path)}: {exc.strerror}") from None
    if len(text) > MOST_BYTES:
        raise SmfError(f"{printable(path)}: it is larger than {MOST_BYTES >> 20} MiB")
    return text


def include(root: Element | None, directory: str | None, problems: Problems) -> Element | None:
    """Put what `xi:include` names in its place, in a bundle's children. A directory of None has
    no files to include."""
    if root is not None:
        _Includer(directory, problems).resolve(root, (os.path.normpath(root.file),))
    return root


class _Includer:
    """Resolves the includes of one manifest."""

    def __init__(self, directory: str | None, problems: Problems) -> None:
        self.directory = directory
        self.problems = problems
        self.left = MOST_INCLUDES

    def resolve(self, bundle: Element, within: tuple[str, ...]) -> None:
        """`within`: the files that are being included."""
        children: list[Element] = []
        for child in bundle.children:
            if child.tag == INCLUDE and bundle.tag == "service_bundle":
                children += self._included(child, within)
            else:
                self.resolve(child, within)
                children.append(child)
        bundle.children = children

    def _included(self, element: Element, within: tuple[str, ...]) -> list[Element]:
        href = element.attributes.get("href", "")
        path = _below(self.directory, os.path.dirname(element.file), href)
        self.left -= 1
        if path is None:
            why = f'"{href}" is not included: only files below the manifest\'s directory'
        elif path in within:
            why = f"{href} includes itself"
        elif self.left < 0:
            why = f"{href} is not included: there are {MOST_INCLUDES} includes already"
        else:
            return self._read(element, path, within)
        self.problems.at(element, why)
        return []

    def _read(self, element: Element, path: str, within: tuple[str, ...]) -> list[Element]:
        try:
            root = parse(_read(path), path, self.problems)
        except SmfError as exc:
            self.problems.at(element, f"cannot be included: {exc}")
            return []
        if root is None:
            return []
        self.resolve(root, (*within, path))
        return [root]


def _below(directory: str | None, here: str, href: str) -> str | None:
    """The file that `href` means in a file of `here`; None unless it is below `directory`."""
    if directory is None or not href or href.startswith("/") or ":" in href:
        return None
    path = os.path.normpath(os.path.join(here, href))
    top = os.path.realpath(directory or ".")
    return path if os.path.realpath(path).startswith(top.rstrip("/") + "/") else None


def service(name: str) -> Element:
    """A <service> without children; the repository does not know its version and type."""
    return Element("service", {"name": name, "type": "service", "version": "0"}, "", 0)


def write(root: Element) -> str:
    """A document, as a file has it."""
    return HEAD + fragment(root)


def fragment(element: Element, depth: int = 0) -> str:
    """An element with its children, indented."""
    attributes = "".join(
        f" {name}='{value.translate(_ESCAPES)}'" for name, value in element.attributes.items()
    )
    start = f"{'  ' * depth}<{element.tag}{attributes}"
    if element.text:
        return f"{start}>{element.text.translate(_ESCAPES)}</{element.tag}>\n"
    if not element.children:
        return f"{start}/>\n"
    children = "".join(fragment(child, depth + 1) for child in element.children)
    return f"{start}>\n{children}{'  ' * depth}</{element.tag}>\n"
