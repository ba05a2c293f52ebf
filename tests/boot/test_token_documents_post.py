"""The reports that are steps of a boot and move no install: the checks, and the scripts after the install."""

from fixtures.services import (
    ADDRESS,
    BASE_URL,
    FIRMWARE,
    IPXE,
    MAC,
    UNKNOWN_ADDRESS,
    BuiltServices,
    WithServices,
)

from netboot.boot.token_documents import Refusal, Report
from netboot.model.host.host import HostName, HostSet
from netboot.model.install.event import Step
from netboot.model.install.token import Tokens

CP1 = HostName("cp1")
PASSED = "netboot-checks 1\nfirmware pass UEFI\ndisk pass sda\nmembers pass none\nntp skipped no chronyd\n"


async def installing(services: BuiltServices) -> Tokens:
    """Boot cp1 into its installer, and return the tokens of that boot."""
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    return (await services.install_moves.read(CP1)).tokens


def steps(services: BuiltServices) -> list[tuple[Step, int]]:
    boot = services.boot_recorder.newest(CP1)
    assert boot is not None
    return [(each.step, each.retries) for each in boot.steps]


def test_the_whole_installer_is_one_boot_with_its_checks_and_scripts(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[object, ...]:
        tokens, documents = await installing(services), services.document_service
        for _ in range(2):
            await documents.serve_kickstart(tokens.kickstart, ADDRESS, base_url=BASE_URL)
        await documents.report_checks(tokens.report, address=ADDRESS, body=PASSED)
        await documents.report(tokens.report, Report.STARTED, address=ADDRESS)
        answers = [await documents.report_post(tokens.report, address=ADDRESS) for _ in range(2)]
        await documents.report(tokens.report, Report.DONE, address=ADDRESS)
        late = await documents.report_post(tokens.report, address=ADDRESS)
        boot = services.boot_recorder.newest(CP1)
        assert boot is not None
        return answers, late, boot.waits_for

    async def both(services: BuiltServices) -> tuple[object, ...]:
        return await scenario(services), steps(services), (await services.install_moves.read(CP1)).state

    found, recorded, state = with_services(both)

    assert found == ([None, None], Refusal.SPENT, Step.LOCAL_BOOT)
    assert recorded == [
        (Step.OFFER, 0),
        (Step.SCRIPT, 0),
        (Step.KICKSTART, 1),
        (Step.CHECKS, 0),
        (Step.INSTALLING, 0),
        (Step.POST, 1),
        (Step.INSTALLED, 0),
    ]
    assert state == "installed"


def test_the_report_of_another_machine_or_with_another_token_is_refused(with_services: WithServices):
    async def scenario(services: BuiltServices) -> tuple[object, ...]:
        tokens, documents = await installing(services), services.document_service
        return (
            await documents.report_post(tokens.report, address=UNKNOWN_ADDRESS),
            await documents.report_post("0" * 32, address=ADDRESS),
            steps(services),
        )

    assert with_services(scenario) == (
        Refusal.UNAUTHORISED,
        Refusal.UNKNOWN,
        [(Step.OFFER, 0), (Step.SCRIPT, 0)],
    )


def test_the_report_of_a_host_that_was_removed_is_acknowledged_and_is_no_step(with_services: WithServices):
    async def scenario(services: BuiltServices) -> object:
        tokens = await installing(services)
        services.use(hosts=HostSet.of(services.hosts.cluster, [host for host in services.hosts if host.name != CP1]))
        return await services.document_service.report_post(tokens.report, address=ADDRESS), steps(services)

    assert with_services(scenario)[1] == [(Step.OFFER, 0), (Step.SCRIPT, 0)]
