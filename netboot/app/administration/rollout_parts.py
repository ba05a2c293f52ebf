"""Builds the rollouts of a daemon from its settings: what decides, what runs them, and the use cases."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from netboot.app.store_access import OpenStore
from netboot.boot.live_registry import LiveRegistry
from netboot.model.actor import Actor, Source
from netboot.model.clock import Clock
from netboot.model.host.role_ignition import RoleUse
from netboot.model.rollout.command import CommandKind
from netboot.model.rollout.rollout import RolloutOptions
from netboot.operate.administration import Administration
from netboot.operate.cluster.role_file_uses import IgnitionRequest
from netboot.operate.rollout.decision.observed import Rules
from netboot.operate.rollout.effect_runner import EffectParts
from netboot.operate.rollout.forecasts import Forecasts
from netboot.operate.rollout.machine_power import BmcPower
from netboot.operate.rollout.new_rollout import NewRollouts
from netboot.operate.rollout.ocne.command_programs import CommandPrograms
from netboot.operate.rollout.ocne.ocne_commands import CommandSettings, OcneCommands
from netboot.operate.rollout.ocne.ocne_files import ClusterFiles
from netboot.operate.rollout.rollout_changes import RolloutChanges
from netboot.operate.rollout.rollout_runner import Owner, RolloutRunner
from netboot.operate.rollout.rollout_uses import RolloutUses
from netboot.settings.cluster_setting import ClusterCommands, ClusterSettings
from netboot.store.changes.notification import Changed
from netboot.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class RolloutParts:
    """The runner, which works in the background, the use cases, and whether the commands can be run."""

    runner: RolloutRunner
    uses: RolloutUses
    programs: CommandPrograms


def rollouts_of(
    store: OpenStore,
    settings: ClusterSettings,
    administration: Administration,
    registry: LiveRegistry,
    metrics: Metrics,
    *,
    clock: Clock,
) -> RolloutParts:
    """Build the rollouts of a daemon."""
    rules, install_moves = _rules(settings), administration.arming.install_moves
    changes, files = (
        RolloutChanges(store.rollouts, store.events, metrics),
        ClusterFiles(registry.hosts, ca_file=settings.ca_file),
    )

    async def take(request: IgnitionRequest) -> object:
        return await administration.set_ignition(request, actor=Actor("rollout", Source.ROLLOUT))

    def place_of(use: RoleUse) -> Path | None:
        return registry.hosts().cluster.ignition.get(use)

    power = BmcPower(administration.power, registry.hosts)
    commands = OcneCommands(_command_settings(settings), place_of=place_of, take=take, now=clock.now)
    parts = EffectParts(
        changes,
        arming=administration.arming,
        install_moves=install_moves,
        power=power,
        commands=commands,
        files=files,
        clock=clock,
    )
    owner = Owner(store.database.writer, is_alone=not store.database.is_shared)
    runner = RolloutRunner(parts, store.join_gate, rules=rules, owner=owner)
    store.changes.follow(Changed.ROLLOUT, runner.read_changed)
    metrics.read_gauges(runner.readings)
    new = NewRollouts(
        registry.hosts,
        store.rollouts,
        administration.arming,
        embeds_ignition=lambda: registry.now.documents.embeds_ignition,
        rules=rules,
        programs=commands.programs,
        power=power,
        defaults=RolloutOptions(settings.max_parallel, settings.failure_budget),
    )
    uses = RolloutUses(
        changes,
        new=new,
        runner=runner,
        commands=commands,
        files=files,
        install_moves=install_moves,
        durations=lambda: store.durations.now,
        forecasts=Forecasts(files, install_moves.known, lambda: store.durations.now, rules=rules),
        now=clock.now,
    )
    return RolloutParts(runner, uses, commands.programs)


def _rules(settings: ClusterSettings) -> Rules:
    return Rules(
        frozenset(_command_settings(settings).commands),
        bool(settings.commands and settings.commands.ready),
        timedelta(seconds=settings.boot_timeout_s),
        timedelta(seconds=settings.install_timeout_s),
        timedelta(seconds=settings.api_timeout_s),
        timedelta(seconds=settings.join_timeout_s),
    )


def _command_settings(settings: ClusterSettings) -> CommandSettings:
    commands = settings.commands or ClusterCommands()
    named = {
        CommandKind.START: commands.start,
        CommandKind.START_AGAIN: commands.start,
        CommandKind.JOIN_CONTROL_PLANE: commands.join_control_plane,
        CommandKind.JOIN_WORKER: commands.join_worker,
        CommandKind.DRAIN: commands.drain,
        CommandKind.RESET: commands.reset,
        CommandKind.DELETE: commands.delete,
    }
    return CommandSettings(
        {kind: command for kind, command in named.items() if command},
        commands.kubeadm,
        commands.ready,
        settings.command_timeout_s,
        str(settings.home),
    )
