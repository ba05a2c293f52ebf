"""Hides what the declaration of a host has of secrets: variables and kernel arguments that are named as secrets. Pure.

A variable is for the site's own templates, so a rendered document, and what a machine sends of it, may have its value.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from netboot.model.hidden import HIDDEN, is_name_of_secret, without_secrets_in
from netboot.model.host.host import Host

# Kernel arguments whose values are no secrets, for where all others are hidden.
_PUBLIC_ARGUMENTS: Final = frozenset({
    "acpi", "amd_iommu", "audit", "bond", "clocksource", "console", "crashkernel", "default_hugepagesz", "earlycon",
    "enforcing", "fips", "hugepages", "hugepagesz", "ignition.platform.id", "intel_idle.max_cstate", "intel_iommu",
    "iommu", "ip", "ipv6.disable", "isolcpus", "loglevel", "mitigations", "modprobe.blacklist", "module_blacklist",
    "nameserver", "net.ifnames", "nohz_full", "panic", "pci", "processor.max_cstate", "rcu_nocbs",
    "rd.driver.blacklist", "rd.net.timeout.carrier", "rd.neednet", "selinux", "systemd.unified_cgroup_hierarchy",
    "transparent_hugepage", "tsc", "vlan",
})  # fmt: skip
_WORD: Final = re.compile(r"[a-z_.]{1,20}")
_SHORTEST: Final = 4  # characters; a shorter value would be hidden where it is part of another word


def secret_values(host: Host) -> tuple[str, ...]:
    """Return the values of the variables and kernel arguments that are named as secrets, the longest first."""
    variables = {value for name, value in host.variables.items() if is_name_of_secret(name)}
    pairs = [argument.partition("=") for argument in host.kernel_arguments]
    values = variables | {value for name, _, value in pairs if is_name_of_secret(name)}
    return tuple(sorted((value for value in values if len(value) >= _SHORTEST), key=lambda value: (-len(value), value)))


def is_public_argument(argument: str) -> bool:
    """Return whether a kernel argument is known to have no secret: by its name, or as a word of few letters."""
    name, sign, _ = argument.partition("=")
    return name in _PUBLIC_ARGUMENTS if sign else _WORD.fullmatch(argument) is not None


def free_values(host: Host) -> tuple[str, ...]:
    """Return every value of a host that is free text: of all variables, and of arguments that may be secrets."""
    arguments = [each.partition("=") for each in host.kernel_arguments if not is_public_argument(each)]
    return (*host.variables.values(), *(value if sign else name for name, sign, value in arguments))


def without_values(text: str, values: Sequence[str]) -> str:
    """Hide these values in a text, also as documents have them: quoted for a shell, TOML or JSON, or in a URL."""
    for value in values:
        for form in forms_of(value):
            text = text.replace(form, HIDDEN)
    return text


def forms_of(value: str) -> tuple[str, ...]:
    """Return a value as it is, and as documents quote it."""
    of_json = json.dumps(value, ensure_ascii=False)[1:-1]
    in_shell, in_grub = value.replace("'", "'\"'\"'"), value.replace("'", "'\\''")
    of_toml = value.replace("\\", "\\\\").replace('"', '\\"')
    quoted = (in_shell, in_grub, of_toml, of_json, json.dumps(value)[1:-1], quote(value), quote(value, safe=""))
    return tuple(dict.fromkeys((value, *quoted)))


def document_shown(text: str, values: Sequence[str]) -> str:
    """Return a document of a host as it is kept and shown: without these values and other passwords."""
    return without_secrets_in(without_values(text, values))


def host_shown(host: Host) -> Host:
    """Return a host as it is shown: variables and kernel arguments that are named as secrets have no value."""
    return replace(
        host,
        variables={name: variable_shown(name, value) for name, value in host.variables.items()},
        kernel_arguments=tuple(map(argument_shown, host.kernel_arguments)),
    )


def variable_shown(name: str, value: str) -> str:
    """Return the value of a variable as it is shown."""
    return HIDDEN if is_name_of_secret(name) else without_secrets_in(value)


def argument_for_anybody(argument: str) -> str:
    """Return a kernel argument as a machine may read it that is not known to be the host's."""
    if is_public_argument(argument):
        return argument
    name, sign, _ = argument.partition("=")
    return f"{name}={HIDDEN}" if sign else HIDDEN


def argument_shown(argument: str) -> str:
    """Return a kernel argument as it is shown."""
    return without_secrets_in(argument)
