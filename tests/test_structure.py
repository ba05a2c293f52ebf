"""The structure of the source: sizes, names, words, and documentation that matches the code."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from netboot.app.from_settings import NEED_RESTART
from netboot.boot.firmware.learning_states import LEARNING
from netboot.boot.firmware.local_boot_learning import LOCAL_BOOTS
from netboot.boot.token_documents import Refusal
from netboot.boot_records.drop_reasons import RecordDrop
from netboot.cli.main import COMMANDS
from netboot.model.boot.offer import IgnoreReason, WaitReason
from netboot.model.boot.reasons import Alarm, RequestRefusal
from netboot.model.install.install import TRANSITIONS
from netboot.model.lease import LeaseDropReason
from netboot.serve.static_http.refused import RefusalReason
from netboot.settings.settings import Settings
from netboot.telemetry.metrics import COUNTERS, GAUGES, HISTOGRAMS
from netboot.wire.dhcp.pxe import DropReason

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "netboot"
LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LARGEST_PACKAGE = 12
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}
# Whole words, also in the plural.
FIGURATIVE_WORDS = (
    r"(asker|desk|door|fuse|house|ledger|manner|patience|road|room|shape|silence|silent|stranger|taste|told)s?"
)
WORDS_NOT_IN_PROSE = re.compile(
    FIGURATIVE_WORDS + "|asked|asks|believes|hears|knows|proved|proves|said|says|tells|wants"
)
WORDS_NOT_IN_IDENTIFIERS = re.compile(
    FIGURATIVE_WORDS + "|(book|look|prove|question|tell)s?|asked|asking|asks|proof|proved|proven"
)

State = TypeVar("State", bound=StrEnum)
Moving = TypeVar("Moving", bound=StrEnum)

SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
TEMPLATES = sorted((REPOSITORY / "assets/templates").rglob("*.j2"))
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_and_its_functions_stay_short(source: Path):
    text = source.read_text()
    long_functions = {
        node.name: length
        for node in ast.walk(_tree(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }

    assert len(text.splitlines()) <= LONGEST_FILE
    assert long_functions == {}


def test_no_package_and_no_file_has_a_name_without_meaning():
    assert [path for path in PACKAGE.rglob("*") if path.stem in FORBIDDEN_NAMES] == []


def test_no_package_has_more_than_twelve_files():
    packages = [path.parent for path in PACKAGE.rglob("__init__.py")]
    sizes = {str(path.relative_to(REPOSITORY)): len(list(path.glob("[a-z]*.py"))) for path in packages}

    assert {name: size for name, size in sizes.items() if size > LARGEST_PACKAGE} == {}


def test_identifiers_use_plain_words():
    found = {
        f"{name} in {_place(source)}"
        for source in (*SOURCES, *TESTS)
        for name in _identifiers(source)
        for word in _words_of_identifier(name)
        if WORDS_NOT_IN_IDENTIFIERS.fullmatch(word) and not _is_excepted(word, source)
    }

    assert sorted(found) == []


def test_every_exception_is_needed():
    unused = [
        (word, place)
        for word, place in EXCEPTIONS
        if not any(
            word in {name, *_words_of_identifier(name)}
            for source in (*SOURCES, *TESTS)
            if source.is_relative_to(REPOSITORY / place)
            for name in _identifiers(source)
        )
    ]

    assert unused == []


def test_documents_docstrings_and_comments_use_plain_words():
    prose = {page: page.read_text() for page in DOCUMENTS if not _is_superseded(page)}
    # Only a file that has such a word anywhere can have it in its prose; tokens are slow to read.
    prose |= {source: "\n".join(_prose(source)) for source in (*SOURCES, *TESTS) if _words_not_in_prose(source)}
    prose |= {page: "\n".join(re.findall(r"{#.*?#}|(?m:^ *#.*)", page.read_text())) for page in TEMPLATES}
    found = {
        f"{word} in {_place(path)}"
        for path, text in prose.items()
        for word in set(re.findall(r"\w+", text.lower()))
        if WORDS_NOT_IN_PROSE.fullmatch(word) and not _is_excepted(word, path)
    }

    assert sorted(found) == []


def test_a_name_is_one_class_only():
    classes = [
        (node.name, source) for source in SOURCES for node in ast.walk(_tree(source)) if isinstance(node, ast.ClassDef)
    ]

    assert _shared_names(classes) == {}


def test_a_name_is_one_module_only():
    commands = PACKAGE / "cli/commands"  # these carry their command's name
    modules = [(source.stem, source) for source in SOURCES if source.stem[0] != "_"]

    assert (
        _shared_names([named for named in modules if commands not in named[1].parents or named[0] not in COMMANDS])
        == {}
    )


def test_urls_of_the_boot_lan_are_written_in_one_module():
    root = r"/(?:boot|bootfiles|ks|ign|report|content|ostree)/"
    found = {
        f"{text!r} in {_place(source)}"
        for source in SOURCES
        if source != PACKAGE / "model/urls.py"
        for text in _texts(source)
        if re.search(rf"^{root}|http://\0|\0{root}", text)
        and not (text.startswith("/content/") and source.is_relative_to(PACKAGE / "admin/pages"))  # a page
    }

    assert sorted(found) == []


def test_defaults_of_ports_are_in_settings_only():
    ports = {Settings().http.port, *(each.port for each in Settings().admin.listen)}
    found = {
        _place(source)
        for source in SOURCES
        for node in ast.walk(_tree(source))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in ports
    }

    assert found == {
        "netboot/settings/admin_setting.py",
        "netboot/settings/settings.py",
        "netboot/lab/lab_hosts.py",  # the lab writes a netboot.yaml
    }


def test_pe_headers_are_read_in_one_module():
    readers = [_place(source) for source in SOURCES if b"PE\\0\\0" in source.read_bytes()]

    assert readers == ["netboot/content/pe_image.py"]


def test_no_group_of_a_regular_expression_is_possessive():
    """Python before 3.11.5, and Debian 12's before 3.11.2-6+deb12u9, then misses matches (gh-106052)."""
    assert [str(source) for source in SOURCES if re.search(r"[^\\]\)([*+?]|\{[0-9,]+\})\+", source.read_text())] == []


def test_text_of_machines_is_escaped_in_one_module():
    places = [_place(source) for source in SOURCES if "unicode_escape" in source.read_text()]

    assert places == ["netboot/model/words.py"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_has_a_docstring(source: Path):
    assert ast.get_docstring(_tree(source))


def test_every_test_file_of_a_package_begins_with_the_name_of_a_file_in_that_package():
    misplaced = []
    for path in sorted((REPOSITORY / "tests").glob("*/test_*.py")):
        package = PACKAGE / path.parent.name
        subject = path.stem.removeprefix("test_")
        if package.is_dir() and not any(subject.startswith(source.stem) for source in package.rglob("[a-z]*.py")):
            misplaced.append(str(path.relative_to(REPOSITORY)))

    assert misplaced == []


def test_the_sections_that_need_a_restart_are_documented():
    documented = re.search(r"other sections\n\(([^)]*)\)", (REPOSITORY / "docs/settings.md").read_text())

    assert documented is not None
    assert re.findall(r"`(\w+)`", documented[1]) == list(NEED_RESTART)


def test_every_event_and_log_line_is_documented():
    documented = _first_of_lines(r"\| `([a-z0-9]+\.[a-z0-9_]+)` \|", "docs/events.md")

    assert documented == set(_event_names())


def test_every_reason_is_documented():
    documented = _first_of_lines(r"\| `([a-z0-9-]+)` \|", "docs/events.md")

    kinds = (DropReason, IgnoreReason, LeaseDropReason, WaitReason, RequestRefusal, Refusal, Alarm, RefusalReason)
    assert documented == {reason.value for kind in (*kinds, RecordDrop) for reason in kind}


def test_every_counter_is_documented():
    documented = _first_of_lines(r"\| `netboot_([a-z0-9_]+)_total` \|", "docs/events.md")

    assert documented == set(COUNTERS)


def test_every_gauge_and_histogram_is_documented_with_its_labels():
    page = (REPOSITORY / "docs/events.md").read_text()
    documented = dict(re.findall(r"^\| `netboot_([a-z0-9_]+)(?<!_total)` \| ([a-z, ]*) ?\|", page, re.MULTILINE))

    declared = {name: labels for name, (_, labels, *_) in (*HISTOGRAMS.items(), *GAUGES.items())}
    assert {name: labels.strip() for name, labels in documented.items()} == {
        name: ", ".join(labels) for name, labels in declared.items()
    }


def test_every_gauge_is_read_somewhere():
    read = {
        call.args[0].value
        for source in SOURCES
        for call in _calls(source, "Reading")
        if call.args and isinstance(call.args[0], ast.Constant)
    }

    assert read == set(GAUGES)


def test_every_part_of_the_health_is_documented():
    table = (REPOSITORY / "docs/events.md").read_text().partition("\n| part | name |")[2]
    documented = {part for row in re.findall(r"^\| ([a-z, ]+) \|", table, re.MULTILINE) for part in row.split(", ")}

    named = [call.args[0] for source in SOURCES for call in (*_calls(source, "of"), *_calls(source, "_BoundedCheck"))]
    parts = {name.value for name in named if isinstance(name, ast.Constant)}
    assert documented == parts


def test_every_counter_that_the_code_uses_is_declared_with_its_labels():
    used: dict[str, set[str]] = {}
    for source in SOURCES:
        for call in (*_calls(source, "count"), *_calls(source, "observe")):
            if (
                call.args
                and isinstance(call.args[0], ast.Constant)
                and re.fullmatch("[a-z_]+", str(call.args[0].value))
            ):
                used.setdefault(call.args[0].value, set()).update(keyword.arg or "" for keyword in call.keywords)

    declared = {name: set(labels) for name, (_, labels, *_) in (*COUNTERS.items(), *HISTOGRAMS.items())}
    assert used == {name: labels for name, labels in declared.items() if name in used}


def test_every_error_code_is_documented():
    documented = _first_of_lines(r"\| `([a-z-]+)` \|", "docs/api.md")
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    codes = re.findall(r'^    code(?:: ClassVar\[str\])? = "([^"]+)"$', sources, re.MULTILINE)

    assert sorted(documented) == sorted({*codes, *re.findall(r'"code": "([^"]+)"', sources)})
    assert len(codes) == len(set(codes))


def test_every_route_of_the_api_is_documented():
    documented = (REPOSITORY / "docs/api.md").read_text()
    sources = "".join(path.read_text() for path in (PACKAGE / "admin" / "api").rglob("*.py"))
    routes = re.findall(r'web\.\w+\("(/[^"]+)"', sources)
    last = {
        re.sub(r"{(\w+)}", lambda name: name[1].upper(), each).removeprefix("/api/v1/hosts/HOST") for each in routes
    }

    assert routes
    assert [route for route in sorted(last) if route not in documented] == []


def test_every_page_is_documented():
    documented = _first_of_lines(r"\| `(/[^`]*)` \|", "docs/pages.md")
    sources = "".join(path.read_text() for path in (PACKAGE / "admin" / "pages").rglob("*.py"))
    routes = set(re.findall(r'web\.get\("(/[^"]*)"', sources)) - {"/static/{name}"}

    assert sorted(documented) == sorted(re.sub(r"{(\w+)}", lambda name: name[1].upper(), each) for each in routes)


def test_every_word_of_the_timeline_is_documented_with_its_events():
    rows = re.findall(r"^\| ([A-Za-z-]+) \| (.*) \|$", (REPOSITORY / "docs/events.md").read_text(), re.MULTILINE)
    documented = {word: set(re.findall(r"`([a-z]+\.[a-z_]+)`", events)) for word, events in rows}

    assert {word: events for word, events in documented.items() if events} == _events_of_timeline_words()


def test_each_diagram_is_its_table():
    diagrams = re.findall(r"```mermaid\n(.*?)```", (REPOSITORY / "docs/booting.md").read_text(), re.DOTALL)

    assert diagrams == [draw(LEARNING), draw(LOCAL_BOOTS), draw(TRANSITIONS)]


def test_the_readme_shows_every_command():
    readme = (REPOSITORY / "README.md").read_text()

    assert [name for name in COMMANDS if f"`netboot {name}" not in readme] == []


def anchors(page: Path) -> set[str]:
    """List the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_in_the_documentation_has_a_target():
    links = [
        (page, target, heading)
        for page in DOCUMENTS
        for target, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text())
    ]

    assert [(page, target) for page, target, _ in links if not (page.parent / target).exists()] == []
    assert [
        (page, target, heading)
        for page, target, heading in links
        if heading and heading not in anchors(page.parent / target if target else page)
    ] == []


def test_a_decision_has_the_next_number_in_its_file_name_and_its_heading():
    files = sorted((REPOSITORY / "docs/decisions").glob("*.md"))

    numbers = [(int(file.name[:4]), int(file.read_text().split()[1].rstrip("."))) for file in files]

    assert numbers == [(number, number) for number in range(1, len(files) + 1)]


def test_the_makefile_prints_its_targets():
    printed = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    targets = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert [each for each in targets[1].split() if each != "packages" and f"make {each} " not in printed] == []


def _exceptions() -> Iterator[tuple[str, str]]:
    """Yield each exception's word and the file or directory in which it is accepted."""
    for line in (REPOSITORY / "tests/word_exceptions.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            word, place, _reason = (field.strip() for field in line.split("|"))
            yield word, place


EXCEPTIONS = frozenset(_exceptions())


def _place(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def _is_excepted(word: str, path: Path) -> bool:
    places = [_place(path), *(_place(parent) for parent in path.parents if parent.is_relative_to(REPOSITORY))]
    return any((word, place) in EXCEPTIONS for place in places)


def _is_superseded(document: Path) -> bool:
    return document.parent.name == "decisions" and "Superseded" in document.read_text()


def _shared_names(named: list[tuple[str, Path]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = {}
    for name, source in named:
        if not _is_excepted(name, source):
            places.setdefault(name, []).append(_place(source))
    return {name: sources for name, sources in places.items() if len(sources) > 1}


@cache
def _tree(source: Path) -> ast.Module:
    """Parse a file of the package, once for all tests."""
    return ast.parse(source.read_text())


@cache
def _identifiers(source: Path) -> frozenset[str]:
    names = {source.stem}
    for node in ast.walk(ast.parse(source.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                names.add(name)
    return frozenset(names)


@cache
def _words_of_identifier(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _words_not_in_prose(source: Path) -> set[str]:
    words = set(re.findall(r"\w+", source.read_text().lower()))
    return {word for word in words if WORDS_NOT_IN_PROSE.fullmatch(word)}


def _prose(source: Path) -> Iterator[str]:
    """Yield the docstrings and comments of a file."""
    text = source.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def _texts(source: Path) -> Iterator[str]:
    """Give each string of a file; of an f-string, its values are zero bytes."""
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _events_of_timeline_words() -> dict[str, set[str]]:
    """Return the events that `model/boot/reasons.py` explains, by the word of each explanation."""
    source = PACKAGE / "model/boot/reasons.py"
    tree = ast.parse(source.read_text())
    words = {
        function.name: {
            str(ast.literal_eval(call.args[0]))
            for call in ast.walk(function)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Explanation"
            if isinstance(call.args[0], ast.Constant)
        }
        for function in tree.body
        if isinstance(function, ast.FunctionDef)
    }
    found: dict[str, set[str]] = {}
    for event, explained in _items_of(tree, "_EXPLAIN"):
        of_event = words[explained.id] if isinstance(explained, ast.Name) else {_first_argument(explained)}
        for word in of_event:
            found.setdefault(word, set()).add(event)
    return found


def _items_of(tree: ast.Module, name: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the items of a dictionary that a module assigns to a name."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            assert isinstance(node.value, ast.Dict)
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                assert key is not None
                yield str(ast.literal_eval(key)), value


def _first_argument(call: ast.expr) -> str:
    assert isinstance(call, ast.Call)
    return str(ast.literal_eval(call.args[0]))


def _first_of_lines(pattern: str, page: str) -> set[str]:
    return set(re.findall(f"^{pattern}", (REPOSITORY / page).read_text(), re.MULTILINE))


def draw(transitions: Mapping[State, Mapping[Moving, State]]) -> str:
    """Draw a table as Mermaid does, from its first state on; moves that stay are left out."""
    lines = ["stateDiagram-v2", f"    [*] --> {next(iter(transitions))}"]
    for state, moves in transitions.items():
        for target in transitions:
            events = [event.value for event, reached in moves.items() if reached is target and target is not state]
            if events:
                lines.append(f"    {state} --> {target}: {', '.join(events)}")
    return "\n".join(lines) + "\n"


def _event_names() -> Iterator[str]:
    for source in SOURCES:
        if source.relative_to(PACKAGE).parts[0] in ("lab", "cli"):
            continue
        for method in ("debug", "info", "warning", "error", "exception"):
            yield from _first_words(source, method)
        for method in ("_emit", "emit", "_log", "Event", "record"):
            yield from _first_words(source, method)


def _first_words(source: Path, function: str) -> Iterator[str]:
    for call in _calls(source, function):
        for argument in call.args[:2]:
            if isinstance(argument, ast.Constant) and re.fullmatch(r"[a-z0-9]+\.[a-z0-9_]+", str(argument.value)):
                yield argument.value


def _calls(source: Path, function: str) -> list[ast.Call]:
    return _calls_by_name(source).get(function, [])


@cache
def _calls_by_name(source: Path) -> Mapping[str, list[ast.Call]]:
    """Find every call of a file, by the name of the function or method."""
    found: dict[str, list[ast.Call]] = {}
    for node in ast.walk(_tree(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found.setdefault(name, []).append(node)
    return found
