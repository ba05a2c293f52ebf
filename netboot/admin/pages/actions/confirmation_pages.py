"""The pages that confirm an action for one host or many, and the forms that request it.

Nothing is changed by GET. A refused form is shown again with every reason, and with the status that the API has.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aiohttp import web

from netboot.admin.access.requester import actor_of, requester_of
from netboot.admin.api.problems import status_of
from netboot.admin.pages.actions.action_requests import ActionRequests
from netboot.admin.pages.actions.action_urls import host_url
from netboot.admin.pages.actions.confirmation import Answers, Confirmation, ConfirmedHost
from netboot.admin.pages.page_engine import PageEngine
from netboot.errors import NetbootError
from netboot.model.access.access_rule import Need
from netboot.model.install.install import MOST_ATTEMPTS
from netboot.operate.actions.host_verbs import REMOVALS, HostVerb
from netboot.operate.arming import ArmingRefusedError

LONGEST_MESSAGE: Final = 800  # characters of a cookie, of which browsers keep 4 kB
MOST_REMOVED: Final = 100  # at once: each removal reads all hosts files
_VERBS: Final = {verb.value: verb for verb in HostVerb}


class ConfirmationPages:
    def __init__(self, requests: ActionRequests, engine: PageEngine) -> None:
        self._requests, self._administration, self._engine = requests, requests.administration, engine

    def routes(self) -> list[web.RouteDef]:
        """Return the routes; other pages of a host must come before them."""
        return [
            web.get("/hosts/{host}/{action}", self.show),
            web.post("/hosts/{host}/{action}", self.request),
            web.get("/installs/{action}", self.show),
            web.post("/installs/{action}", self.request),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Show what would be done, to which hosts, and why not."""
        back = request.query.get("back", "")
        return await self._answer(request, await self._confirmation(request, request.query.getall("host", []), back))

    async def request(self, request: web.Request) -> web.Response:
        """Do what was confirmed, and lead back; or show the page again with the reasons."""
        form = await request.post()
        names, back = [str(each) for each in form.getall("host", [])], str(form.get("back", ""))
        if "seen" not in form:  # the selection of the rack, which may be too long for a URL
            return await self._answer(request, await self._confirmation(request, names, back))
        answers = Answers(
            reason=str(form.get("reason", "")),
            attempts=str(form.get("attempts", "")).strip(),
            medium=str(form.get("medium", "")),
            is_forced=form.get("force") == "1",
            confirmed=str(form.get("confirm", "")).strip(),
            seen=str(form.get("seen", "")),
        )
        form_page = replace(await self._confirmation(request, names, back), answers=answers)
        if (fault := fault_of(form_page)) is not None:
            return await self._answer(request, replace(form_page, faults=[fault]), status=422)
        if not form_page.is_granted:
            return await self._answer(request, form_page, status=409)  # the page has the reasons of each host
        wanted = [each.host.name for each in form_page.granted]
        try:
            done = await self._requests.request(form_page.verb, wanted, answers, actor=actor_of(request))
        except NetbootError as error:
            now = await self._confirmation(request, names, back)
            faults = [] if isinstance(error, ArmingRefusedError) and now.refused else str(error).splitlines()
            return await self._answer(request, replace(now, answers=answers, faults=faults), status=status_of(error))
        text = done.text if len(done.text) <= LONGEST_MESSAGE else f"{done.text[: LONGEST_MESSAGE - 1]}…"
        return self._engine.back(form_page.back, done=text, kind="good" if done.is_complete else "warning")

    async def _answer(self, request: web.Request, page: Confirmation, *, status: int = 200) -> web.Response:
        return await self._engine.answer(request, "confirmation.html.j2", status=status, page=page)

    async def _confirmation(self, request: web.Request, names: Sequence[str], back: str) -> Confirmation:
        """Judge the hosts of a request; raise UnknownHostError, HTTPBadRequest."""
        verb, host = _VERBS.get(request.match_info["action"]), request.match_info.get("host")
        if verb is None:
            raise web.HTTPNotFound(text="There is no such action.")
        wanted = [host] if host is not None else list(dict.fromkeys(names))
        if not wanted:
            raise web.HTTPBadRequest(text="No host is selected. Select hosts in the table of the rack.")
        if verb in REMOVALS and len(wanted) > MOST_REMOVED:
            raise web.HTTPBadRequest(text=f"{MOST_REMOVED} hosts can be removed at once; select fewer.")
        found = await self._administration.host_actions.on(wanted, verb)
        hosts = [ConfirmedHost(each.host, each.install, action) for each, action in found]
        leaves = verb in REMOVALS or host is None
        denied = requester_of(request).refusal(Need.CHANGE)
        return Confirmation(
            verb,
            hosts,
            _local(back) or ("/" if leaves else host_url(wanted[0])),
            denied=denied.sentence if denied is not None else None,
            media=(await self._administration.status()).daemon.media if verb is HostVerb.RESCUE else (),
        )


def fault_of(form_page: Confirmation) -> str | None:
    """Return why a form is not accepted as it was filled in."""
    if form_page.answers.seen != form_page.seen:
        return "A host changed since this page was made. Read it again, and confirm what it shows now."
    if form_page.typed is not None and form_page.answers.confirmed != form_page.typed:
        return f"Type {form_page.typed} to confirm that the disk is wiped. Nothing was changed."
    if (attempts := form_page.answers.attempts) and not _is_number_of_attempts(attempts):
        return f"attempts is a whole number from 1 to {MOST_ATTEMPTS}"
    return None


def _is_number_of_attempts(text: str) -> bool:
    return (
        text.isascii() and text.isdecimal() and len(text) <= len(str(MOST_ATTEMPTS)) and 1 <= int(text) <= MOST_ATTEMPTS
    )


def _local(url: str) -> str:
    """Return a URL of ours; empty for one of elsewhere."""
    is_ours = url.startswith("/") and not url.startswith(("//", "/\\")) and url.isprintable()
    return url if is_ours else ""
