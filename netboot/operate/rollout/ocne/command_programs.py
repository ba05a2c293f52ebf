"""Finds which commands of a cluster cannot be run, before a disk is wiped for them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from netboot.model.rollout.command import JOINS, CommandKind
from netboot.operate.programs.program_file import ProgramProblem, program_problem
from netboot.telemetry.health import HealthPart, PartState

PART: Final = "cluster-commands"


class CommandPrograms:
    """The configured commands, by their names in `cluster.commands`."""

    part = PART

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._commands = commands

    def problems(self, kinds: Collection[CommandKind]) -> list[ProgramProblem]:
        """Return why what a rollout with these commands runs cannot be run; waits for disks."""
        return self._problems([*map(name_of, kinds), "kubeadm", "ready"])

    def problem(self, kind: CommandKind) -> ProgramProblem | None:
        """Return why a command cannot be run; a join also needs `kubeadm`. Waits for disks."""
        found = self._problems([name_of(kind), *(["kubeadm"] if kind in JOINS else [])])
        return found[0] if found else None

    def check(self) -> HealthPart:
        """Return whether every configured command can be run; waits for disks."""
        return HealthPart.of(self.part, *map(str, command_problems(self._commands)), at_worst=PartState.DEGRADED)

    def _problems(self, names: Iterable[str]) -> list[ProgramProblem]:
        return command_problems({name: self._commands.get(name, ()) for name in names})


def command_problems(commands: Mapping[str, Sequence[str]], *, is_run_here: bool = True) -> list[ProgramProblem]:
    """Return why commands of `cluster.commands` cannot be run."""
    found = []
    for name, command in commands.items():
        setting = f"cluster.commands.{name}"
        correct = f"install it, or correct {setting} in netboot.yaml and systemctl restart netboot"
        problem = program_problem(command, correct=correct, is_run_here=is_run_here) if command else None
        if problem is not None:
            found.append(ProgramProblem(f"{setting}: {problem.reason}", problem.cure))
    return found


def name_of(kind: CommandKind) -> str:
    """Return the name of a command in `cluster.commands`."""
    return CommandKind.START.value if kind is CommandKind.START_AGAIN else kind.replace("-", "_")
