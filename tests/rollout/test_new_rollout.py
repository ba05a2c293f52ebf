"""What a new rollout takes over: hosts that are installed, and a start of the cluster that was not completed."""

from dataclasses import replace

from fixtures.run_rollouts import RunningRollouts, with_runner
from fixtures.services import WithServices

from netboot.model.install.install import InstallState
from netboot.model.rollout.command import CommandKind, CommandState
from netboot.model.rollout.rollout import Phase, Rollout, RolloutState
from netboot.operate.rollout.decision.effects import RunCommand
from netboot.operate.rollout.decision.next_actions import next_step
from netboot.operate.rollout.decision.observed import Observed
from netboot.operate.rollout.new_rollout import JudgedRollout, RolloutRequest
from netboot.operate.rollout.rollout_status import next_command
from tests.fixtures.rollouts import BEGAN_AT, EVERY_COMMAND, a_rollout

AGAIN = CommandKind.START_AGAIN


async def judged(running: RunningRollouts, *hosts: str) -> JudgedRollout:
    return await running.new.judge(RolloutRequest(hosts), actor="uid 0", now=BEGAN_AT)


async def keep(running: RunningRollouts, rollout: Rollout) -> None:
    stored = await running.rollouts.create(rollout)
    assert await running.rollouts.save(stored, replace(stored, state=RolloutState.CANCELLED)) is not None


def test_a_second_start_that_failed_is_run_by_the_next_rollout_and_not_after_it_was_done(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        await running.move("cp1", InstallState.READY)
        by_hand = await judged(running, "w1")
        failed = a_rollout(0, 0)
        again = failed.command(AGAIN).begun(BEGAN_AT).failed("no route", BEGAN_AT)
        await keep(running, failed.with_command(again))
        first = await judged(running, "w1")
        await keep(running, first.rollout)
        second = await judged(running, "w1")
        stored = await running.rollouts.create(second.rollout)
        await keep_done(running, stored)

        done = await judged(running, "w1")

        assert dict(by_hand.rollout.commands) == {}
        for each in (first.rollout, second.rollout):
            assert (each.has_cluster, [*each.commands], each.command(AGAIN).state) == (
                True,
                [AGAIN],
                CommandState.UNUSED,
            )
        assert dict(done.rollout.commands) == {}

    async def keep_done(running: RunningRollouts, stored: Rollout) -> None:
        done = stored.with_command(stored.command(AGAIN).begun(BEGAN_AT).done(BEGAN_AT, "exit code 0"))
        assert await running.rollouts.save(stored, replace(done, state=RolloutState.ENDED)) is not None

    with_runner(with_services, work)


def test_no_worker_joins_before_the_start_that_was_not_completed_is_done():
    waiting = a_rollout(0, 1, has_cluster=True).hosts[1]
    host = replace(waiting, phase=Phase.INSTALLED, requested_at=BEGAN_AT, changed_at=BEGAN_AT)
    rollout = replace(a_rollout(0, 0, has_cluster=True), hosts=(host,), api_answered_at=BEGAN_AT)
    unfinished = rollout.with_command(rollout.command(AGAIN))
    installed = Observed({"w1": Observed().install(host.host)})
    installed = replace(installed, installs={"w1": replace(installed.install(host.host), state=InstallState.INSTALLED)})

    first = next_step(unfinished, installed, rules=EVERY_COMMAND, now=BEGAN_AT)
    done = first.rollout.with_command(first.rollout.command(AGAIN).done(BEGAN_AT, "exit code 0"))
    second = next_step(done, installed, rules=EVERY_COMMAND, now=BEGAN_AT)

    assert first.effects == (RunCommand(AGAIN),)
    assert second.effects == (RunCommand(CommandKind.JOIN_WORKER),)


def test_an_installed_host_is_warned_of_because_its_system_may_know_another_file(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        blank = await judged(running, "cp1", "w1")
        await running.move("w1", InstallState.INSTALLED)
        installed = await judged(running, "cp1", "w1")

        [warning] = set(installed.warnings) - set(blank.warnings)
        assert warning.startswith("w1 is installed already, and its system may know the file of its role by its digest")

    with_runner(with_services, work)


def test_a_plan_warns_of_a_bmc_that_would_not_power_its_machine_on(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        before = await judged(running, "cp1", "w1")
        running.power.prevented_by["w1"] = "sushy is missing"

        found = await judged(running, "cp1", "w1")
        by_hand = await running.new.judge(RolloutRequest(("w1",), power=False), actor="uid 0", now=BEGAN_AT)

        assert {*found.warnings} - {*before.warnings} == {
            "a person powers w1 on, unless this is corrected: sushy is missing"
        }
        assert not any("sushy" in each for each in by_hand.warnings)

    with_runner(with_services, work)


def test_a_rollout_is_refused_whose_commands_cannot_be_run(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        whole = await judged(running)
        await running.move("cp1", InstallState.READY)
        worker = await judged(running, "w1")

        cure = "install it, or correct cluster.commands.{} in netboot.yaml and systemctl restart netboot"
        start, join, ready = (
            f"cluster.commands.{name}: there is no program {path}; {cure.format(name)}"
            for name, path in (
                ("start", "/nonexistent/a"),
                ("join_worker", "/nonexistent/b"),
                ("ready", "/nonexistent/c"),
            )
        )
        assert [each for each in whole.refusals if "program" in each] == [start, join, ready]
        assert [each for each in worker.refusals if "program" in each] == [join, ready]

    commands = {
        CommandKind.START: ["/nonexistent/a"],
        CommandKind.START_AGAIN: ["/nonexistent/a"],
        CommandKind.JOIN_WORKER: ["/nonexistent/b"],
        CommandKind.DRAIN: ["/nonexistent/drain"],
    }
    with_runner(with_services, work, commands=commands, ready=["/nonexistent/c"])


def test_the_next_command_of_a_rollout_whose_command_cannot_be_run_names_what_is_corrected():
    command = a_rollout().command(CommandKind.START).begun(BEGAN_AT)
    failed = command.failed("there is no program /nonexistent/a", BEGAN_AT, cure="correct cluster.commands.start")

    step = next_step(a_rollout().with_command(failed), Observed(), rules=EVERY_COMMAND, now=BEGAN_AT)

    assert failed.next_at is None
    assert step.rollout.state is RolloutState.PAUSED
    assert step.rollout.reason == "start: there is no program /nonexistent/a; correct cluster.commands.start"
    assert next_command(step.rollout) == "correct cluster.commands.start, then netboot cluster rollout resume"


def test_the_bmc_of_a_node_is_examined_before_the_node_leaves_the_cluster(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        await running.move("cp1", InstallState.READY)
        replace_w1 = RolloutRequest(replace="w1")
        sound = await running.new.judge(replace_w1, actor="uid 0", now=BEGAN_AT)
        running.power.fault = "cannot use the BMC of w1: it refuses the password; netboot bmc credentials w1"
        refused = await running.new.judge(replace_w1, actor="uid 0", now=BEGAN_AT)
        by_hand = await running.new.judge(replace(replace_w1, power=False), actor="uid 0", now=BEGAN_AT)

        assert running.power.examined == ["w1", "w1"]
        assert [*refused.refusals] == [*sound.refusals, f"{running.power.fault}; or power it on by hand: --no-power"]
        assert by_hand.refusals == sound.refusals

    with_runner(with_services, work)


def test_a_plan_says_that_another_rollout_is_active(with_services: WithServices):
    async def work(running: RunningRollouts) -> None:
        before = await judged(running, "cp1", "w1")
        active = await running.rollouts.create(replace(a_rollout(), state=RolloutState.PAUSED))

        found = await judged(running, "cp1", "w1")

        assert [*found.refusals] == [
            f"rollout {active.id} is active, and there is one at a time; netboot cluster rollout show, or netboot "
            "cluster rollout cancel",
            *before.refusals,
        ]

    with_runner(with_services, work)
