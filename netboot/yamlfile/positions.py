"""Reads YAML text into `nodes` with line and column, without types, and collects every fault.

It must never raise for any text, build an object from a tag, or let an alias grow the tree beyond `NODE_LIMIT`.
It refuses what PyYAML would ignore: duplicate keys, merge keys, a second document, invisible characters.
"""

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn

import yaml

from netboot.yamlfile.faults import Faults, Place, position, shown
from netboot.yamlfile.nodes import Listing, Node, Scalar, Table, TableEntry

NODE_LIMIT: Final = 200_000  # a thousand hosts with every key are 25,000
DEPTH_LIMIT: Final = 32

# Characters that no configuration needs and that could end a script's line or deceive a reader: C0 and C1 controls,
# Unicode's line ends, direction marks, a stray byte-order mark, half a surrogate pair.
_UNSEEN: Final = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_UNSEEN_IN_FILE: Final = re.compile(f"[{_UNSEEN}]")
_UNSEEN_IN_SCALAR: Final = re.compile(f"[\t\n\r{_UNSEEN}]")

_ALIKE_IN_BOTH: Final = ("", "'", '"')  # styles of a scalar that libyaml reads as PyYAML's own parser does
_PLAIN_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})


def parse(text: str, file: str, faults: Faults) -> Node | None:
    """Read one document; None if the file cannot be parsed at all. Every fault is added to `faults`."""
    if _has_unseen(text, file, faults):
        return None
    found = _read_by_libyaml(text, file, is_foreign=False) or _read_with_faults(text, file, faults, is_foreign=False)
    return None if found is None else next(iter(found), Scalar(Place(file, 1, 1), ""))


def parse_documents(text: str, file: str, faults: Faults) -> list[Node]:
    """Read a file of another program: any number of documents, and values of several lines. A message has no value."""
    if _has_unseen(text, file, faults):
        return []
    found = _read_by_libyaml(text, file, is_foreign=True)
    return (_read_with_faults(text, file, faults, is_foreign=True) or []) if found is None else found


def _has_unseen(text: str, file: str, faults: Faults) -> bool:
    unseen = _UNSEEN_IN_FILE.search(text)
    if unseen is not None:
        place = Place(file, *position(text, unseen.start()))
        code = f"U+{ord(unseen.group()):04X}"
        faults.add(place, "", what=f"has an invisible character ({code})", cure="remove it")
    return unseen is not None


def _read_by_libyaml(text: str, file: str, *, is_foreign: bool) -> list[Node] | None:
    """Read a text without faults in a tenth of the time; None for any other text, which PyYAML's own parser reads.

    libyaml has other error messages, another place for an empty value and other rules for some blocks, and is not in
    every build of PyYAML. In a file of another program only the messages matter.
    """
    if not yaml.__with_libyaml__ or "\t" in text:
        return None
    faults = Faults()
    reader = _TreeBuilder(file, faults, is_foreign=is_foreign)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            is_alike = not isinstance(event, yaml.ScalarEvent) or (event.value and event.style in _ALIKE_IN_BOTH)
            if not is_alike and not is_foreign:
                return None
            reader.take(event)
    except (_GiveUpError, yaml.YAMLError, ValueError):
        return None
    return None if faults else reader.documents


def _read_with_faults(text: str, file: str, faults: Faults, *, is_foreign: bool) -> list[Node] | None:
    reader = _TreeBuilder(file, faults, is_foreign=is_foreign)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            reader.take(event)
    except _GiveUpError:
        return None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        what, cure = _in_plain_words(error, text)
        faults.add(place, "", what=what, cure=cure)
        return None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an escape or a version beyond what Python can hold
        faults.add(Place(file), "", what=f"is not YAML ({str(error).splitlines()[0]})", cure="correct it")
        return None
    return reader.documents


class _GiveUpError(Exception):
    """The rest of the file cannot be parsed; the fault was added already."""


@dataclass(slots=True)
class _Open:
    """A collection whose end was not read yet."""

    place: Place
    anchor: str | None
    is_table: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, TableEntry] = field(default_factory=dict)
    key: Scalar | None = None
    size: int = 1


class _TreeBuilder:
    """Builds the tree from the parser's events. No recursion, so no text can exhaust the stack."""

    def __init__(self, file: str, faults: Faults, *, is_foreign: bool) -> None:
        self._file = file
        self._faults = faults
        self._is_foreign = is_foreign
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._size = 0  # of all collections together, aliases counted at the size of what they repeat
        self.documents: list[Node] = []

    def take(self, event: yaml.Event) -> None:
        match event:  # the most frequent first
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._start(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent() if self.documents and not self._is_foreign:
                self._give_up(self._place(event), "a second document starts here", "keep one document in a file")
            case yaml.DocumentStartEvent():
                self._anchors.clear()
            case _:  # starts and ends of streams and documents
                pass

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self._refuse_tag(event)
        place, text = self._place(event), event.value
        refused = _UNSEEN_IN_FILE if self._is_foreign else _UNSEEN_IN_SCALAR
        if unseen := refused.search(text):
            code = f"U+{ord(unseen.group()):04X}"
            value = "a value" if self._is_foreign else shown(text)  # which may be a password
            self._fault(
                place, f"{value} holds a line end or control character ({code})", "write it on one line, without"
            )
            text = refused.sub("\N{REPLACEMENT CHARACTER}", text)  # messages may show it
        scalar = Scalar(place, text, plain=not event.style and event.tag is None)
        self._close(scalar, event.anchor, 1)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor
        if any(frame.anchor == name for frame in self._open):
            self._give_up(self._place(event), f"*{name} would hold itself", "write the value out")
        if name not in self._anchors:
            self._give_up(self._place(event), f"*{name} has no anchor &{name} before it", "write the value out")
        node, size = self._anchors[name]
        self._close(node, None, size)

    def _start(self, event: yaml.CollectionStartEvent) -> None:
        self._refuse_tag(event)
        place, is_table = self._place(event), isinstance(event, yaml.MappingStartEvent)
        if len(self._open) >= DEPTH_LIMIT:
            self._give_up(place, f"is nested more than {DEPTH_LIMIT} deep", "nothing here needs that; correct it")
        self._open.append(_Open(place, event.anchor, is_table))
        self._size += 1

    def _end(self) -> None:
        frame = self._open.pop()
        self._size -= frame.size  # it is counted again with its node
        node = Table(frame.place, frame.entries) if frame.is_table else Listing(frame.place, tuple(frame.items))
        self._close(node, frame.anchor, frame.size)

    def _close(self, node: Node, anchor: str | None, size: int) -> None:
        """Add a finished node to its collection."""
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        self._size += size
        if self._size > NODE_LIMIT:
            what = f"grows beyond {NODE_LIMIT} values here"
            self._give_up(node.place, what, "write less by aliases, or split the file")
        if not self._open:
            self.documents.append(node)
            return
        frame = self._open[-1]
        frame.size += size
        if not frame.is_table:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._as_key(node)
        else:
            self._store(frame, frame.key, node)
            frame.key = None

    def _as_key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar) or not node.text:
            self._give_up(node.place, "a key must be a word", "write `name: value`")
        return node

    def _store(self, frame: _Open, key: Scalar, node: Node) -> None:
        first = frame.entries.get(key.text)
        if key.plain and key.text == "<<":
            cure = "write the keys out" if self._is_foreign else "put what machines share under defaults or roles"
            self._fault(key.place, "merge keys (<<) are not YAML 1.2", cure)
        elif first is not None:
            self._fault(key.place, f"is there already ({first.key.place})", "keep one of the two")
        else:
            frame.entries[key.text] = TableEntry(key, node)

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            self._fault(self._place(event), f"the tag {shown(event.tag)} is not used here", "remove it")

    def _place(self, event: yaml.Event) -> Place:
        mark = event.start_mark
        assert mark is not None  # only events that a program makes have none
        return Place(self._file, mark.line + 1, mark.column + 1)

    def _fault(self, place: Place, what: str, cure: str) -> None:
        self._faults.add(place, self._where(), what=what, cure=cure)

    def _give_up(self, place: Place, what: str, cure: str) -> NoReturn:
        self._fault(place, what, cure)
        raise _GiveUpError

    def _where(self) -> str:
        """Name the object that is being read: `hosts.cp1.ssh_keys[2]`."""
        path = ""
        for frame in self._open:
            if not frame.is_table:
                path += f"[{len(frame.items)}]"
            elif frame.key is not None:
                path += f".{frame.key.text}" if path else frame.key.text
        return path


def _in_plain_words(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str]:
    """Return PyYAML's error in plain words, and the cure."""
    problem = str(error.problem or error.context or "cannot be read").replace("\n", " ")
    mark = error.problem_mark
    if mark and "cannot start any token" in problem and text.splitlines()[mark.line : mark.line + 1]:
        here = text.splitlines()[mark.line][mark.column : mark.column + 1]
        if here == "\t":
            return "a tab cannot indent YAML", "use spaces"
        return f"a value cannot begin with {shown(here)}", "put it in quotes"
    if "mapping values are not allowed" in problem:
        return "a second `: ` in one line", "put the value in quotes, or begin a new line"
    return f"is not YAML ({problem})", "correct the indentation, quotes or brackets here or just above"
