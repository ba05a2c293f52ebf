"""`.ci/started-programs` reads what strace wrote, and leaves out what apt starts."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "started-programs"
TRACE = """\
10 execve("/usr/bin/make", ["make", "test"], 0x7f /* 12 vars */) = 0
11 execve("/usr/bin/apt-get", ["apt-get", "install", "curl"], 0x7f /* 12 vars */) = 0
12 execve("/usr/bin/dpkg", ["/usr/bin/dpkg", "--unpack"], 0x7f /* 12 vars */) = 0
13 execve("/var/lib/dpkg/info/curl.postinst", ["curl.postinst"], 0x7f /* 12 vars */) = 0
13 +++ exited with 0 +++
12 +++ exited with 0 +++
11 +++ exited with 0 +++
14 execve(".venv/bin/pytest", [".venv/bin/pytest"], 0x7f /* 12 vars */) = 0
14 --- SIGCHLD {si_signo=SIGCHLD} ---
14 execve("/proc/self/exe", ["/proc/self/exe", "--type=zygote"], 0x7f /* 12 vars */) = 0
15 execveat(AT_FDCWD, "/usr/bin/curl", ["curl", "+++"], 0x7f /* 12 vars */, 0) = 0
14 +++ exited with 0 +++
"""


@pytest.fixture
def script() -> ModuleType:
    spec = spec_from_loader("started_programs", SourceFileLoader("started_programs", str(SCRIPT)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_started_program_is_read_except_itself_and_those_that_apt_started(script: ModuleType):
    assert list(script.started(TRACE.splitlines())) == [
        "/usr/bin/make",
        "/usr/bin/apt-get",
        ".venv/bin/pytest",
        "/usr/bin/curl",
    ]


def test_a_program_has_the_package_that_dpkg_names_also_where_bin_is_a_link(script: ModuleType):
    found = [script.package_of(Path("/"), program) for program in ("/bin/mount", "/usr/bin/curl", "/usr/bin/missing")]

    assert found == ["mount", "curl", None]
