"""Powers the machines of a rollout on, by their BMCs where they have one."""

from collections.abc import Callable
from typing import Final

from netboot.errors import NetbootError, StoreError
from netboot.model.actor import Actor
from netboot.model.host.host import Host, HostName, HostSet
from netboot.model.power.power import IntentState, PowerAction, PowerIntent
from netboot.model.words import first_line
from netboot.operate.power.power_request import PowerRefusedError, PowerRequest
from netboot.operate.power.power_requests import PowerRequests
from netboot.operate.rollout.decision import person_texts
from netboot.operate.rollout.decision.person_texts import ToPress

ENDED_S: Final = 600.0  # an action is several requests to a BMC


class BmcPower:
    """The BMCs of the hosts in force."""

    def __init__(self, requests: PowerRequests, hosts: Callable[[], HostSet]) -> None:
        self._requests, self._hosts = requests, hosts

    async def withdraw(self, request_id: str, *, reason: str) -> None:
        """Cancel a request that was not sent to the machine; does nothing to another one. Raises StoreError."""
        await self._requests.withdraw(request_id, reason=reason)

    def unusable(self, host: Host) -> list[str]:
        """List why the BMC of a host would not power it on, whatever its machine does."""
        return self._requests.unusable(PowerAction.PXE, host) if host.bmc is not None else []

    async def problem(self, host: HostName) -> str | None:
        """Request the state of a machine from its BMC; return why that cannot power it on, None: nothing is found.

        Raises UnknownHostError.
        """
        declared = self._hosts().named(host)
        if declared.bmc is None:
            return None
        return next(iter(self.unusable(declared)), None) or await self._requests.verify(host)

    async def power_on_to_network(
        self, host: HostName, *, request_id: str, actor: Actor, timeout_s: float = ENDED_S
    ) -> ToPress | None:
        """Power a machine on, to boot from the network once; None: done, else what a person does in its place.

        A request whose id is known is the same request again. Raises StoreError.
        """
        declared = self._hosts().get(host)
        if declared is None or declared.bmc is None:
            return ToPress(person_texts.PRESS)
        request = PowerRequest([host], PowerAction.PXE, id=request_id)
        try:
            [intent] = await self._requests.request(request, actor=actor)
            ended = await self._requests.ended(intent.id, timeout_s=timeout_s)
            if ended.is_open:  # a person powers it on, and nothing may restart it later
                await self.withdraw(intent.id, reason=f"it was not sent within {timeout_s:g} s")
                ended = await self._requests.ended(intent.id, timeout_s=0)
        except StoreError:
            raise
        except NetbootError as error:
            is_of_machine = isinstance(error, PowerRefusedError) and error.is_forcible  # of what it does now
            cure = person_texts.CHECK_FIRST if is_of_machine else person_texts.power_again(host)
            return ToPress(f"{first_line(str(error))}; {cure}")
        return _to_press(ended)


def _to_press(ended: PowerIntent) -> ToPress | None:
    if ended.state is IntentState.DONE:
        return None
    if ended.state is IntentState.INCOMPLETE:
        return ToPress(f"{first_line(ended.detail)}; {person_texts.power_again(ended.host)}", is_sent=True)
    is_sent = ended.state not in (IntentState.FAILED, IntentState.CANCELLED)
    what = "its BMC did not power it on"
    if is_sent:
        what = "it is not known whether its BMC powered it on; if it does not boot from the network, do it again"
    detail = f": {first_line(ended.detail)}" if ended.detail else ""
    return ToPress(f"{what} ({ended.state}{detail}); {person_texts.power_again(ended.host)}", is_sent=is_sent)
