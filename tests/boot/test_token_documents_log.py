"""Who may send lines of a log with a token, and how long."""

import pytest
from fixtures.services import ADDRESS, FIRMWARE, IPXE, MAC, OTHER_ADDRESS, BuiltServices, WithServices

from netboot.boot.token_documents import LOG_AFTER_READY, Refusal, Report
from netboot.model.host.host import HostName, HostSet
from netboot.model.install.install import InstallState

CP1 = HostName("cp1")


async def booted(services: BuiltServices) -> str:
    """Let cp1 boot its installer; return the token of its reports."""
    await services.install_moves.arm_all([CP1], reason="test", attempts=3)
    services.boots(FIRMWARE, IPXE)
    await services.script_for(MAC, ADDRESS)
    return services.install_moves.known(CP1).tokens.report


def test_a_machine_sends_its_log_with_its_token_from_its_own_address(with_services: WithServices):
    async def scenario(services: BuiltServices) -> None:
        token, documents = await booted(services), services.document_service

        assert await documents.log_sender(token, ADDRESS) == services.hosts.hosts[CP1]
        assert await documents.log_sender(token, OTHER_ADDRESS) is Refusal.UNAUTHORISED
        assert await documents.log_sender("0" * 32, ADDRESS) is Refusal.UNKNOWN
        services.use(hosts=HostSet.of(services.hosts.cluster, []))
        assert await documents.log_sender(token, ADDRESS) == CP1

    with_services(scenario)


@pytest.mark.parametrize(("later_s", "is_over"), [(0, False), (60, False), (61, True)])
def test_a_token_ends_for_logs_a_minute_after_the_machine_is_ready(
    with_services: WithServices, later_s: float, is_over: bool
):
    async def scenario(services: BuiltServices) -> None:
        token, documents = await booted(services), services.document_service
        for report in (Report.STARTED, Report.DONE, Report.READY):
            assert await documents.report(token, report, address=ADDRESS) is None
        assert services.install_moves.known(CP1).state is InstallState.READY
        before = await services.event_names()
        services.clock.pass_(later_s)

        found = await documents.log_sender(token, ADDRESS)

        assert (found is Refusal.SPENT) == is_over
        assert await services.event_names() == before
        assert LOG_AFTER_READY.total_seconds() == 60

    with_services(scenario)
