"""The settings of a simulated iPXE and the expansion of `${...}`; https://ipxe.org/cfg."""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from netboot.model.boot.boot_client import CPU_OF_ARCH, Arch, Cpu
from netboot.probe.machine import SimulatedMachine

# the setting's name, which an expansion inside it may complete, and its type
_EXPANSION: Final = re.compile(r"\$\{([^${}]*)\}")
_SCOPED: Final = re.compile(r"net(?:0|X|x)/(.+)")
_OTHER_CARD: Final = re.compile(r"net[1-9]\d*/.+")
_LARGEST_TEXT: Final = 16 << 10
_LARGEST_SETTINGS: Final = 256 << 10  # of all; iPXE has a heap of 512 kB
_MOST_EXPANDED: Final = 64 << 20  # characters of a whole run: a loop of long lines ends
_WORD: Final = 0xFFFFFFFF  # numbers have 32 bits
_BUILD_ARCHITECTURES: Final[Mapping[Cpu, str]] = {
    Cpu.X86_BIOS: "i386",
    Cpu.IA32: "i386",
    Cpu.X64: "x86_64",
    Cpu.ARM32: "arm32",
    Cpu.ARM64: "arm64",
    Cpu.RISCV64: "riscv64",
    Cpu.LOONGARCH64: "loong64",
}


class IpxeSettings:
    """Settings by name; those of the only card, `net0`, are also found without its name."""

    def __init__(self, machine: SimulatedMachine, given: Mapping[str, str] | None = None) -> None:
        arch = machine.profile.arch
        is_bios = arch == Arch.X86_BIOS
        self._values = {
            "mac": str(machine.mac),
            "uuid": str(machine.uuid),
            "ip": "" if machine.address is None else str(machine.address),
            "platform": "pcbios" if is_bios else "efi",
            "buildarch": _BUILD_ARCHITECTURES.get(CPU_OF_ARCH.get(arch, Cpu.X64), "x86_64"),
            "cpuvendor": "GenuineIntel" if is_bios or CPU_OF_ARCH.get(arch) is Cpu.X64 else "",
            "version": "1.21.1+",
            "manufacturer": "netboot",
            "product": "simulated machine",
            "serial": machine.mac.hyphenated,
            "asset": "",
            "busid": "01:80:86:10:0e",
            "chip": "simulated",
            "hostname": "",
            "domain": "",
            "user-class": "iPXE",
            "memsize": "8192",
            **dict(given or {}),
        }
        self._held = 0  # characters of what was set
        self._expanded = 0

    def get(self, name: str) -> str | None:
        """Return a setting as its natural text; None if it is not set."""
        name, _, kind = name.partition(":")
        if _OTHER_CARD.fullmatch(name):
            return None
        scoped = _SCOPED.fullmatch(name)
        value = self._values.get(name)
        if value is None and scoped is not None:
            value = self._values.get(scoped[1])
        if not value:
            return None
        return _written_as(value, kind)

    def set(self, name: str, value: str) -> None:
        """Set a setting; an empty value clears it. ValueError if iPXE has no memory for it."""
        plain = name.partition(":")[0]
        before = self._values.pop(plain, "")
        self._held += len(value) - len(before) + (len(plain) if value else 0) - (len(plain) if before else 0)
        if value:
            self._values[plain] = value
        if self._held > _LARGEST_SETTINGS:
            raise ValueError(f"its settings have more than {_LARGEST_SETTINGS >> 10} kB: iPXE prints 'Out of memory'")

    def increment(self, name: str, amount: int) -> None:
        """Add to a number; a setting that is not set is 0."""
        plain = name.partition(":")[0]
        self.set(plain, str(_number(self._values.get(plain, "")) + amount & _WORD))

    def expand(self, text: str) -> str:
        """Replace each `${...}`, the innermost first; what is not set becomes empty. ValueError if it never ends."""
        for _ in range(256):
            self._expanded += len(text)
            if self._expanded > _MOST_EXPANDED:
                break
            expanded = _EXPANSION.sub(lambda found: self.get(found[1]) or "", text, count=1)
            if expanded == text:
                return text
            if len(expanded) > _LARGEST_TEXT:
                break
            text = expanded
        raise ValueError("the expansion of its settings does not end")

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)


def _number(text: str) -> int:
    try:
        return int(text, 0) & _WORD
    except ValueError:
        return 0


def _written_as(value: str, kind: str) -> str:
    """Write a value in one of iPXE's types; an unknown type leaves the text."""
    match kind:
        case "hexhyp":
            return value.replace(":", "-")
        case "hexraw":
            return (
                value.replace(":", "").replace("-", "") if re.fullmatch("[0-9a-f:-]+", value) else value.encode().hex()
            )
        case "hex":
            return value if ":" in value else ":".join(f"{byte:02x}" for byte in value.encode())
        case "uristring":
            return quote(value, safe="")
        case "int8" | "int16" | "int32" | "uint8" | "uint16" | "uint32":
            return str(_number(value))
        case "hexint":
            return hex(_number(value))
        case _:
            return value
