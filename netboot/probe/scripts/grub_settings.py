"""The variables of a simulated GRUB, the expansion of words, and the URLs of its file names."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from netboot.model.boot.boot_client import CPU_OF_ARCH, Arch, Cpu
from netboot.probe.machine import SimulatedMachine
from netboot.probe.scripts.grub_syntax import Word

_CPUS: Final[Mapping[Cpu, str]] = {Cpu.X64: "x86_64", Cpu.ARM64: "arm64", Cpu.RISCV64: "riscv64", Cpu.ARM32: "arm"}
_DEVICE: Final = re.compile(r"\(([^()]*)\)(.*)", re.DOTALL)
_NETWORK_DEVICE: Final = re.compile(r"(http|tftp)(?:,(.+))?")
_LARGEST_TEXT: Final = 16 << 10
_MOST_WORDS: Final = 1024
_LARGEST_VARIABLES: Final = 1 << 20  # of all


class GrubVariables(dict[str, str]):
    """Variables by name; one that is not set is empty. ValueError if they have no end."""

    _held = 0

    def __missing__(self, name: str) -> str:
        return ""

    def __setitem__(self, name: str, value: str) -> None:
        before = self.get(name)
        self._held += len(value) - (len(before) if before is not None else -len(name))
        if self._held > _LARGEST_VARIABLES:
            raise ValueError(f"its variables have more than {_LARGEST_VARIABLES >> 10} kB")
        super().__setitem__(name, value)


def initial_variables(machine: SimulatedMachine, url: str) -> GrubVariables:
    """Return the variables with which GRUB reads its configuration from `url`."""
    place = urlsplit(url)
    device = f"{place.scheme},{place.netloc}"
    directory = place.path.rpartition("/")[0]
    is_bios = machine.profile.arch == Arch.X86_BIOS
    return GrubVariables(
        {
            "root": device,
            "prefix": f"({device}){directory}",
            "config_file": f"({device}){place.path}",
            "config_directory": f"({device}){directory}",
            "grub_platform": "pc" if is_bios else "efi",
            "grub_cpu": _CPUS.get(CPU_OF_ARCH.get(machine.profile.arch, Cpu.X64), "i386"),
            "net_default_server": place.hostname or "",
            "net_default_mac": str(machine.mac),
            "net_default_ip": "" if machine.address is None else str(machine.address),
            "net_default_interface": "efinet0",
            "net_efinet0_mac": str(machine.mac),
            "?": "0",
        }
    )


def expand(word: Word, variables: GrubVariables) -> list[str]:
    """Expand a word into none, one or several: an unquoted variable is split at its blanks."""
    words, current, is_open, size = list[str](), "", False, 0
    for part in word.parts:
        text = variables[part.text] if part.is_variable else part.text
        size += len(text)
        if size > _LARGEST_TEXT and part.is_variable:
            raise ValueError("the expansion of its variables is too long")
        if not part.is_variable or part.is_quoted:
            current += text
            is_open = is_open or part.is_quoted or bool(text)
            continue
        pieces = text.split()
        for number, piece in enumerate(pieces):
            if number or (text[0].isspace() and is_open):
                words.append(current)
                current = ""
            current, is_open = current + piece, True
        if pieces and text[-1].isspace():
            words.append(current)
            current, is_open = "", False
    return [*words, current][:_MOST_WORDS] if is_open else words[:_MOST_WORDS]


def expand_all(words: Iterable[Word], variables: GrubVariables) -> list[str]:
    """Expand the words of a command; ValueError if they become too long."""
    expanded = [text for word in words for text in expand(word, variables)]
    if sum(map(len, expanded)) > _LARGEST_TEXT:
        raise ValueError("the expansion of its variables is too long")
    return expanded


def url_of(name: str, variables: GrubVariables) -> str | None:
    """Return the URL of a file name: `(http,SERVER)/PATH`, or a path on the device `root`; None for a disk's."""
    found = _DEVICE.fullmatch(name)
    device, path = (found[1], found[2]) if found else (variables["root"], name)
    network = _NETWORK_DEVICE.fullmatch(device)
    if network is None or "[" in device or "]" in device:  # which no URL of IPv4 has
        return None
    if not path.startswith("/"):
        path = f"/{path}"
    return f"{network[1]}://{network[2] or variables['net_default_server']}{path}"
