"""Reads GRUB scripts: words with quotes and variables, commands, `if`, `for`, `while`, functions, menu entries. Pure.

GRUB manual, "Writing full configuration files directly"; grub-core/script/parser.y.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from netboot.model.words import printable_line
from netboot.probe.scripts.script_end import LARGEST_SCRIPT, script_error

_DEEPEST: Final = 24  # nested blocks
_VARIABLE: Final = re.compile(r"\$(?:\{([A-Za-z0-9_?#@*]+)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9?#@*]))")
_BLANK: Final = " \t"
_RESERVED: Final = frozenset({"then", "elif", "else", "fi", "do", "done", "}"})


@dataclass(frozen=True, slots=True)
class WordPart:
    """A piece of a word: text, or a variable's name. What is not quoted is split at blanks."""

    text: str
    is_variable: bool = False
    is_quoted: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A word; `line` counts from 1."""

    parts: tuple[WordPart, ...]
    line: int

    @property
    def plain(self) -> str | None:
        """Return the text of a word that has neither quotes nor variables."""
        if any(part.is_variable or part.is_quoted for part in self.parts):
            return None
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True, slots=True)
class GrubCommand:
    words: tuple[Word, ...]
    is_negated: bool = False

    @property
    def line(self) -> int:
        """Return the line of its first word."""
        return self.words[0].line


@dataclass(frozen=True, slots=True)
class GrubIf:
    """`branches`: pairs of a condition and what runs if its last command succeeds."""

    branches: tuple[tuple["Block", "Block"], ...]
    otherwise: "Block" = ()


@dataclass(frozen=True, slots=True)
class GrubFor:
    variable: str
    words: tuple[Word, ...]
    body: "Block"


@dataclass(frozen=True, slots=True)
class GrubWhile:
    condition: "Block"
    body: "Block"
    is_until: bool = False


@dataclass(frozen=True, slots=True)
class GrubFunction:
    name: str
    body: "Block"


@dataclass(frozen=True, slots=True)
class GrubMenuEntry:
    """`words`: title and options."""

    words: tuple[Word, ...]
    body: "Block"
    is_submenu: bool = False


Statement = GrubCommand | GrubIf | GrubFor | GrubWhile | GrubFunction | GrubMenuEntry
Block = tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class _Separator:
    line: int


def parse_grub(text: str) -> Block:
    """Parse a script. Raise BootFailedError with the line of a syntax error."""
    if len(text) > LARGEST_SCRIPT:
        raise script_error(1, f"the script is longer than {LARGEST_SCRIPT >> 10} kB")
    parser = _Parser(list(_tokens(text)))
    return parser.block(frozenset())


def _tokens(text: str) -> Iterator[Word | _Separator]:
    """Split a script into words and separators."""
    at, line = 0, 1
    while at < len(text):
        sign = text[at]
        if sign in ";\n":
            yield _Separator(line)
            line += sign == "\n"
            at += 1
        elif sign in _BLANK or sign == "\r":
            at += 1
        elif text.startswith("\\\n", at):
            line += 1
            at += 2
        elif sign == "#":
            at = text.find("\n", at) if "\n" in text[at:] else len(text)
        else:
            parts, end = _word(text, at, line)
            yield Word(tuple(parts), line)
            line += text.count("\n", at, end)
            at = end


def _word(text: str, at: int, line: int) -> tuple[list[WordPart], int]:
    """Read a word; return its parts and where it ends."""
    parts: list[WordPart] = []
    while at < len(text) and text[at] not in " \t\r\n;":
        sign = text[at]
        if sign == "'":
            end = text.find("'", at + 1)
            if end < 0:
                raise script_error(line, "GRUB prints 'error: syntax error.': a single quote is not closed")
            parts.append(WordPart(text[at + 1 : end], is_quoted=True))
            at = end + 1
        elif sign == '"':
            at = _double_quoted(text, at + 1, line, parts)
        elif sign == "\\" and at + 1 < len(text):
            if text[at + 1] != "\n":
                parts.append(WordPart(text[at + 1], is_quoted=True))
            at += 2
        elif (found := _VARIABLE.match(text, at)) is not None:
            parts.append(WordPart(found[1] or found[2], is_variable=True))
            at = found.end()
        elif sign in "{}" and not parts:
            return [WordPart(sign)], at + 1
        else:
            parts.append(WordPart(sign))
            at += 1
    return parts, at


def _double_quoted(text: str, at: int, line: int, parts: list[WordPart]) -> int:
    """Read up to the closing quote; return the place behind it."""
    parts.append(WordPart("", is_quoted=True))
    while at < len(text):
        if text[at] == '"':
            return at + 1
        if text[at] == "\\" and text[at + 1 : at + 2] in ("$", '"', "\\"):
            parts.append(WordPart(text[at + 1], is_quoted=True))
            at += 2
        elif (found := _VARIABLE.match(text, at)) is not None:
            parts.append(WordPart(found[1] or found[2], is_variable=True, is_quoted=True))
            at = found.end()
        else:
            parts.append(WordPart(text[at], is_quoted=True))
            at += 1
    raise script_error(line, "GRUB prints 'error: syntax error.': a double quote is not closed")


class _Parser:
    """Recursive descent over the tokens; one block ends at one of the words that its opener expects."""

    def __init__(self, tokens: list[Word | _Separator]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def block(self, ends: frozenset[str]) -> Block:
        """Read statements up to one of `ends`, which is not consumed, or the end of the script."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error("its blocks are nested too deep")
        statements: list[Statement] = []
        while (word := self._next_word()) is not None:
            plain = word.plain
            if plain in ends:
                self._depth -= 1
                return tuple(statements)
            if plain in _RESERVED:
                raise self._error(f"unexpected `{plain}`")
            statements.append(self._statement(plain))
        if ends:
            raise self._error(f"`{' or '.join(sorted(ends))}` is missing")
        self._depth -= 1
        return tuple(statements)

    def _statement(self, plain: str | None) -> Statement:
        match plain:
            case "if":
                return self._if()
            case "for":
                return self._for()
            case "while" | "until":
                return self._while(is_until=plain == "until")
            case "function":
                self._at += 1
                name = self._take_word().plain or ""
                return GrubFunction(name, self._braces())
            case "menuentry" | "submenu":
                return self._menu_entry(is_submenu=plain == "submenu")
            case _:
                return self._command()

    def _if(self) -> GrubIf:
        branches: list[tuple[Block, Block]] = []
        while True:
            self._at += 1  # if, elif
            condition = self.block(frozenset({"then"}))
            self._at += 1
            branches.append((condition, self.block(frozenset({"elif", "else", "fi"}))))
            if self._take_plain("fi"):
                return GrubIf(tuple(branches))
            if self._take_plain("else"):
                otherwise = self.block(frozenset({"fi"}))
                self._at += 1
                return GrubIf(tuple(branches), otherwise)

    def _for(self) -> GrubFor:
        self._at += 1
        variable = self._take_word().plain or ""
        if self._take_word().plain != "in":
            raise self._error("`for` without `in`")
        words = self._words()
        return GrubFor(variable, words, self._loop_body())

    def _while(self, *, is_until: bool) -> GrubWhile:
        self._at += 1
        condition = self.block(frozenset({"do"}))
        return GrubWhile(condition, self._loop_body(), is_until)

    def _loop_body(self) -> Block:
        self._next_word()
        if not self._take_plain("do"):
            raise self._error("`do` is missing")
        body = self.block(frozenset({"done"}))
        self._at += 1
        return body

    def _menu_entry(self, *, is_submenu: bool) -> GrubMenuEntry:
        self._at += 1
        words: list[Word] = []
        while (word := self._peek()) is not None and isinstance(word, Word) and word.plain != "{":
            words.append(word)
            self._at += 1
        return GrubMenuEntry(tuple(words), self._braces(), is_submenu)

    def _braces(self) -> Block:
        self._next_word()
        if not self._take_plain("{"):
            raise self._error("`{` is missing")
        body = self.block(frozenset({"}"}))
        self._at += 1
        return body

    def _command(self) -> GrubCommand:
        is_negated = self._take_plain("!")
        words = self._words()
        if not words:
            raise self._error("a command is missing")
        return GrubCommand(words, is_negated)

    def _words(self) -> tuple[Word, ...]:
        words: list[Word] = []
        while isinstance(word := self._peek(), Word) and word.plain != "}":
            words.append(word)
            self._at += 1
        return tuple(words)

    def _peek(self) -> Word | _Separator | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next_word(self) -> Word | None:
        while isinstance(token := self._peek(), _Separator):
            self._at += 1
        return token

    def _take_word(self) -> Word:
        word = self._peek()
        if not isinstance(word, Word):
            raise self._error("a word is missing")
        self._at += 1
        return word

    def _take_plain(self, plain: str) -> bool:
        word = self._peek()
        if isinstance(word, Word) and word.plain == plain:
            self._at += 1
            return True
        return False

    def _error(self, what: str) -> Exception:
        token = self._peek() or (self._tokens[-1] if self._tokens else _Separator(1))
        return script_error(token.line, f"GRUB prints 'error: syntax error.': {printable_line(what)}")
