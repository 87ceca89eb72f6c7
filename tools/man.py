#!/usr/bin/env python3
# SPDX-License-Identifier: MPL-2.0
"""A man page of docs/man as roff, for man(1): `tools/man.py docs/man/vmadm.8.md | man -l -`.

It knows the markdown that the pages use: headings, paragraphs, `* ` and `- ` items, indented code,
links, `code`, **bold** and *italic*. Anything else is a ValueError; a test runs it on every page.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# What it is may stand in the title or in a section NAME.
TITLE = re.compile(r"# ([a-z.-]+)\((\d)\)(?: -- (.+))?")
ITEM = ("* ", "- ")
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
# What would be shown as it stands, or make the page unreadable in a terminal.
UNKNOWN = re.compile(r"\||\d+\. |```|>|!\[|<(?!!--)|####|\+ |\t")


def roff(markdown: str) -> str:
    """The whole page. Raises ValueError where a line is not of the kinds above."""
    lines = markdown.splitlines()
    title = TITLE.fullmatch(lines[0])
    if title is None:
        raise ValueError(f"not `# name(8)`: {lines[0]}")
    name, section, doc = title.groups()
    head = [f'.TH {name.upper()} {section} "" Hull "Hull\'s manual"', ".nh", ".ad l"]
    about = [".SH NAME", f"{text(name)} \\- {text(doc)}"] if doc else []
    return "\n".join([*head, *about, *body(lines[1:])]) + "\n"


def blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """The lines between empty ones; an item, a heading and a comment are blocks of their own."""
    block: list[str] = []
    for line in [*lines, ""]:
        if block and (not line or line.startswith((*ITEM, "#"))):
            yield block
            block = []
        if line:
            block.append(line)


def body(lines: Iterable[str]) -> Iterator[str]:
    was_code = False
    for block in blocks(lines):
        first = block[0]
        is_code = first.startswith("    ")
        if was_code and is_code:
            yield ""  # an empty line in the middle of code
        elif was_code:
            yield from (".fi", ".RE")
        elif is_code:
            yield from (".PP", ".RS 4", ".nf")
        yield from code(block) if is_code else prose(block)
        was_code = is_code
    if was_code:
        yield from (".fi", ".RE")


def code(block: list[str]) -> list[str]:
    return [escape(line.removeprefix("    ")) for line in block]


def prose(block: list[str]) -> list[str]:
    first = block[0]
    for line in block:
        if UNKNOWN.match(line.lstrip()) or (line.startswith(" ") and not first.startswith(ITEM)):
            raise ValueError(f"not a kind of line that tools/man.py knows: {line}")
    if first.startswith("<!--"):
        return []
    if first.startswith("### "):
        return [".SS " + quoted(first.removeprefix("### "))]
    if first.startswith("## "):
        return [".SH " + quoted(first.removeprefix("## "))]
    words = " ".join(line.strip() for line in block)
    if words.startswith(ITEM):
        return [".IP \\[u2022] 2", text(words[2:])]
    return [".PP", text(words)]


def quoted(words: str) -> str:
    return '"' + text(words).replace('"', "\\(dq") + '"'


def text(words: str) -> str:
    """Fonts and links; `code` is bold, and nothing in it means anything."""
    words = LINK.sub(r"\1", words)
    parts = re.split(r"`([^`]+)`", words)
    if "`" in "".join(parts):
        raise ValueError(f"a ` without its other half: {words}")
    done = [fonts(escape(part)) if n % 2 == 0 else bold(part) for n, part in enumerate(parts)]
    line = "".join(done)
    return f"\\&{line}" if line.startswith((".", "'")) else line


def fonts(escaped: str) -> str:
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"\\fB\1\\fR", escaped)
    return re.sub(r"\*([^*\s][^*]*)\*", r"\\fI\1\\fR", escaped)


def bold(words: str) -> str:
    return f"\\fB{escape(words)}\\fR"


def escape(words: str) -> str:
    """What roff would take for something else; a hyphen that can be copied is `\\-`."""
    for char, escaped in (("\\", "\\e"), ("-", "\\-"), ("'", "\\(aq"), ("^", "\\(ha")):
        words = words.replace(char, escaped)
    words = words.replace("~", "\\(ti").replace("…", "...")
    return f"\\&{words}" if words.startswith(".") else words


if __name__ == "__main__":
    sys.stdout.write(roff(Path(sys.argv[1]).read_text(encoding="utf-8")))
