"""The section `cluster` of `netboot.yaml`: the commands of a rollout, and its limits."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import field_validator

from netboot.model.rollout.rollout import MOST_HOSTS, MOST_PARALLEL
from netboot.settings.hook_setting import Argument
from netboot.settings.setting_types import SettingSection
from netboot.yamlfile import value_kinds as values
from netboot.yamlfile.sections import described, refuse
from netboot.yamlfile.value_kinds import whole_number

_LONGEST_S: Final = 86_400
Parallel = Annotated[int, whole_number(1, MOST_PARALLEL, f"number, 1–{MOST_PARALLEL}")]
Budget = Annotated[int, whole_number(0, MOST_HOSTS, f"number, 0–{MOST_HOSTS}")]
LimitSeconds = Annotated[int, whole_number(60, _LONGEST_S, f"seconds, 60–{_LONGEST_S}")]
_Command = tuple[Argument, ...]


class ClusterCommands(SettingSection):
    """Programs with their arguments, run without a shell; without one, a person runs it."""

    start: _Command = described((), "Prints the Ignition of the first node; later, completes the start.")
    join_control_plane: _Command = described((), "Prints the Ignition of a further control plane.")
    join_worker: _Command = described((), "Prints the Ignition of a worker.")
    kubeadm: _Command = described((), "Runs the command of kubeadm that it gets on its standard input.")
    ready: _Command = described((), "Succeeds if the node is ready whose name is added to its arguments.")
    drain: _Command = described((), "Drains the node whose name is added to its arguments.")
    reset: _Command = described((), "Runs kubeadm reset on the node whose name is added to its arguments.")
    delete: _Command = described((), "Deletes the node whose name is added to its arguments.")

    @field_validator("*")
    @classmethod
    def _begins_with_a_path(cls, command: _Command) -> _Command:
        if command and not Path(command[0]).is_absolute():
            raise refuse("does not begin with an absolute path", "write it as [/usr/bin/ocne, cluster, start]")
        return command


class ClusterSettings(SettingSection):
    """The rollout of a cluster."""

    commands: ClusterCommands | None = described(
        None,
        "The commands that a rollout runs.",
        title="{start, join_control_plane, join_worker, kubeadm, ready, drain, reset, delete}",
    )
    command_timeout_s: LimitSeconds = described(900, "The time after which a command is killed, in seconds.")
    home: values.FilePath = described(Path("/var/lib/netboot"), "The variable HOME of the commands.")
    ca_file: values.FilePath | None = described(None, "The CA of the cluster, in PEM, if no `init` file is here.")
    max_parallel: Parallel = described(4, "How many hosts are installed, and how many workers join, at a time.")
    failure_budget: Budget = described(0, "How many hosts may fail before a rollout begins nothing new.")
    boot_timeout_s: LimitSeconds = described(900, "The time in which a machine boots that was powered on, in seconds.")
    install_timeout_s: LimitSeconds = described(3600, "The time in which a host is installed, in seconds.")
    api_timeout_s: LimitSeconds = described(1800, "The time in which the API of a new cluster answers, in seconds.")
    join_timeout_s: LimitSeconds = described(1800, "The time in which a node becomes ready, in seconds.")
