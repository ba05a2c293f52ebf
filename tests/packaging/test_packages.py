"""Every program that the code names belongs to a package in the Makefile's lists, or to every Debian."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from netboot.cli.main import COMMANDS
from netboot.lab.lab import PACKAGES

PROJECT = Path(__file__).resolve().parents[2]
MAKEFILE = (PROJECT / "Makefile").read_text()
LISTS = re.findall(r"^(\w+_PACKAGES) := \\\n((?:\t\S+(?: \\)?\n)+)", MAKEFILE, re.MULTILINE)
SOURCES = sorted(path for folder in ("netboot", "tests") for path in (PROJECT / folder).rglob("*.py"))
ONLY_FOR_BENCHES = {"perfdhcp": "kea-admin"}  # `make test` does not install them, so dpkg may not know their package
# The first argument of these names a program.
STARTERS = {"run", "Popen", "check_output", "check_call", "create_subprocess_exec", "which", "add_program", "tool"}
NO_PROGRAMS = {
    **dict.fromkeys(("commit", "init", "pull", "remote", "static-delta", "summary"), "a command of ostree"),
    "netboot-has-none": "a test's name of a program that is missing",
    "ksvalidator": "installed by pip",
    "netboot": "the program itself, in a container",
    **dict.fromkeys(COMMANDS, "a command of netboot"),
}
OF_APT = {"libc6", "libgcc-s1", "libstdc++6"}  # apt depends on them, and every Debian has apt
PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/dracut/modules.d/30ignition"


@pytest.mark.parametrize(("name", "lines"), LISTS, ids=[name for name, _ in LISTS])
def test_a_list_has_one_package_a_line_sorted(name: str, lines: str):
    packages = lines.replace("\\", "").split()

    assert packages == sorted(set(packages))


def test_there_are_lists_for_python_lab_tests_benches_and_the_bare_root():
    names = {"PYTHON_PACKAGES", "LAB_PACKAGES", "TEST_PACKAGES", "BENCH_PACKAGES", "BARE_PACKAGES"}

    assert {name for name, _ in LISTS} == names == set(re.findall(r"^(\w+_PACKAGES)", MAKEFILE, re.MULTILINE))


def test_every_program_that_the_code_names_is_in_a_listed_package_or_in_the_base():
    listed = {package for _, lines in LISTS for package in lines.replace("\\", "").split()}
    base = {"apt", "git", "make"} | required()
    named = {program: place for source in SOURCES for program, place in programs(source)}

    found = packages_of(named.keys() - NO_PROGRAMS.keys())

    found = {name: package or ONLY_FOR_BENCHES.get(name) for name, package in found.items()}
    assert {(name, package, named[name]) for name, package in found.items() if package not in listed | base} == set()


def test_every_library_that_the_python_packages_load_is_in_a_listed_package_or_in_the_base():
    """As Playwright's driver, a node of its own, which loads libatomic."""
    listed = {package for _, lines in LISTS for package in lines.replace("\\", "").split()}
    venv = Path(sys.prefix)
    loaders = [*venv.rglob("*.so"), *venv.rglob("*.so.*"), *venv.rglob("driver/node")]
    needed = set(re.findall(r"^\t(\S+) => (\S+|not found)", _output("ldd", *map(str, loaders)), re.MULTILINE))
    outside = {name: path for name, path in needed if not path.startswith(str(venv.resolve()))}

    assert {name for name, path in outside.items() if path == "not"} == set()
    owners = owners_of(outside.values())
    found = {name: owners.get(path) for name, path in outside.items()}
    assert {(name, package) for name, package in found.items() if package not in listed | required() | OF_APT} == set()


def test_every_package_of_the_lab_is_in_the_list_of_the_lab():
    (lines,) = [lines for name, lines in LISTS if name == "LAB_PACKAGES"]

    assert set(PACKAGES) - required() - set(lines.replace("\\", "").split()) == set()


def required() -> set[str]:
    """The packages that every Debian has."""
    lines = _output("dpkg-query", "--show", "--showformat", "${Priority} ${Package}\n").splitlines()
    return {line.split()[1] for line in lines if line.startswith("required ")}


def programs(source: Path) -> Iterator[tuple[str, str]]:
    """Give each program that a file names as the first word of a command, with the place."""
    for node in ast.walk(ast.parse(source.read_text())):
        words = [_text(word) for word in _command(node)]
        if words and re.fullmatch(r"[a-z][a-z0-9_.+-]+", words[0]):
            yield words[0], f"{source.relative_to(PROJECT)}:{getattr(node, 'lineno', 0)}"


def _command(node: ast.AST) -> list[ast.expr]:
    """Return the words of a command: the arguments of a function that starts one, or a list with an option in it."""
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[first, *_] as words) if name in STARTERS:
            return first.elts if isinstance(first, ast.List | ast.Tuple) else words
        case ast.List(elts=words) | ast.Tuple(elts=words) if any(_text(word).startswith("-") for word in words[1:]):
            return words
    return []


def _text(word: ast.expr) -> str:
    return word.value if isinstance(word, ast.Constant) and isinstance(word.value, str) else ""


def packages_of(programs: Iterable[str]) -> dict[str, str | None]:
    """Find each program's package by dpkg, which lists some files below /bin, now a link to /usr/bin."""
    paths = {name: str(Path(shutil.which(name, path=PATH) or "/missing").resolve()) for name in programs}
    owners = owners_of(paths.values())
    return {name: owners.get(path) for name, path in paths.items()}


def owners_of(paths: Iterable[str]) -> dict[str, str]:
    """Find the package of each file by dpkg."""
    other = {path: path.removeprefix("/usr") if path.startswith("/usr/") else f"/usr{path}" for path in paths}
    known = _output("dpkg", "-S", *other.keys(), *other.values())
    owners = {
        path: package.split(":")[0] for package, path in re.findall(r"^([^:,]+)(?::\S+)?: (/\S+)$", known, re.MULTILINE)
    }
    found = {path: owners.get(path) or owners.get(elsewhere) for path, elsewhere in other.items()}
    return {path: package for path, package in found.items() if package is not None}


def _output(*command: str) -> str:
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
