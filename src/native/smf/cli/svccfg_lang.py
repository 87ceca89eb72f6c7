# SPDX-License-Identifier: MPL-2.0
"""The language of svccfg: lines of words, with quotes and lists.

A word ends at a blank and at = ( ) > and ". In "..." a backslash takes the next character as it is.
A line goes on after a backslash at its end, in quotes and in parentheses. A line that begins with #
is a comment.
"""

from collections.abc import Iterator

from smf.cli.options import Usage

BREAKS = frozenset(' \t\r\n"=()>')
MARKS = frozenset("=()>")


class Token:
    """A word, something that was quoted, or a mark; and where it began."""

    __slots__ = ("column", "glued", "line", "mark", "quoted", "text")

    def __init__(
        self,
        text: str,
        line: int,
        column: int,
        *,
        mark: bool = False,
        quoted: bool = False,
        glued: bool = False,
    ) -> None:
        self.text = text
        self.line = line
        self.column = column
        self.mark = mark
        self.quoted = quoted
        self.glued = glued  # whether there is no blank before it

    def is_mark(self, text: str) -> bool:
        return self.mark and self.text == text


class BadLine(Usage):
    """What is said cannot be read. Shows the line and points at the column."""

    def __init__(self, text: str, problem: str, line: int, column: int) -> None:
        lines = text.split("\n")
        source = lines[line - 1] if line <= len(lines) else ""
        # A tab is a blank here, so that the mark stands below what it means.
        shown = "".join(c if c.isprintable() else " " for c in source)
        where = f"line {line}, column {column}"
        super().__init__(f"{where}: {problem}\n    {shown}\n    {' ' * (column - 1)}^")
        self.line = line
        self.column = column


class Unfinished(BadLine):
    """The text ends where more must come: interactively it is asked for."""


def lines(text: str) -> Iterator[list[Token]]:
    """The lines that say something, as tokens. BadLine; Unfinished if the last one goes on."""
    return _Lexer(text).lines()


class _Lexer:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.start = 0  # of the line
        self.open: list[Token] = []  # parentheses

    def lines(self) -> Iterator[list[Token]]:
        found: list[Token] = []
        while self.at < len(self.text):
            if self._blank(found):
                continue
            if self.text[self.at] == "\n" and not self.open:
                self._next_line()
                if found:
                    yield found
                found = []
            else:
                found.append(self._token(self._is_glued(found)))
        if self.open:
            last = self.open[-1]
            raise Unfinished(self.text, "the list is not closed by )", last.line, last.column)
        if found:
            yield found

    def _is_glued(self, found: list[Token]) -> bool:
        return bool(found) and self.text[self.at - 1] not in " \t\r\n"

    def _next_line(self) -> None:
        self.at += 1
        self.line += 1
        self.start = self.at

    def _blank(self, found: list[Token]) -> bool:
        """Whether there was something that says nothing, which is then behind us."""
        character = self.text[self.at]
        if character in " \t\r":
            self.at += 1
        elif character == "\n" and self.open:
            self._next_line()
        elif character == "\\" and self.at + 1 == len(self.text):
            raise Unfinished(self.text, "there is no next line", self.line, self._column())
        elif self.text.startswith("\\\n", self.at):
            self.at += 1
            self._next_line()
        elif character == "#" and not found:
            end = self.text.find("\n", self.at)
            self.at = len(self.text) if end < 0 else end
        else:
            return False
        return True

    def _column(self) -> int:
        return self.at - self.start + 1

    def _token(self, glued: bool) -> Token:  # noqa: FBT001  # whether a blank came before
        character, line, column = self.text[self.at], self.line, self._column()
        if character == '"':
            return Token(self._quoted(), line, column, quoted=True, glued=glued)
        if character in MARKS:
            self.at += 1
            token = Token(character, line, column, mark=True, glued=glued)
            self._nest(token)
            return token
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] not in BREAKS:
            if self.text[self.at :] == "\\" or self.text.startswith("\\\n", self.at):
                break
            self.at += 1
        return Token(self.text[begin : self.at], line, column, glued=glued)

    def _nest(self, token: Token) -> None:
        if token.text == "(":
            self.open.append(token)
        elif token.text == ")":
            if not self.open:
                raise BadLine(self.text, "there is no ( for this )", token.line, token.column)
            self.open.pop()

    def _quoted(self) -> str:
        line, column = self.line, self._column()
        self.at += 1
        parts: list[str] = []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == '"':
                self.at += 1
                return "".join(parts)
            if character == "\\" and self.at + 1 < len(self.text):
                self.at += 1
                character = self.text[self.at]
            parts.append(character)
            if character == "\n":
                self._next_line()
            else:
                self.at += 1
        raise Unfinished(self.text, 'the quote is not closed by "', line, column)


def glue(tokens: list[Token]) -> list[Token]:
    """What has no blank between it is one word, but for > and what is quoted as a whole."""
    found: list[Token] = []
    for token in tokens:
        before = found[-1] if found else None
        if token.is_mark(">") or before is None or before.is_mark(">") or not token.glued:
            plain = token.mark and not token.is_mark(">")
            found.append(_word(token, token.text) if plain else token)
        else:
            found[-1] = _word(before, before.text + token.text)
    return found


def _word(token: Token, text: str) -> Token:
    return Token(text, token.line, token.column, quoted=token.quoted, glued=token.glued)


def quote(text: str) -> str:
    """A value as a word that is read back as it: quoted if it needs to be."""
    plain = text and not BREAKS & set(text) and text.isprintable()
    if plain and text[0] not in "#-" and text[-1] not in ":\\" and "\\" not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
