"""The documents of one host: script, Kickstart, Ignition. Rendered at each request, and once before, as a check.

Has the paths of the inputs; decides nothing and changes no state. Files are read in threads.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial
from ipaddress import IPv4Address

import structlog

from netboot.boot.documents.host_content import HostContent
from netboot.boot.documents.ignition_documents import IgnitionDocuments, IgnitionSet
from netboot.boot.documents.node_update_rules import NodeUpdateRules
from netboot.boot.documents.role_files import FileStamp, file_stamp
from netboot.content.assets import assets_directory
from netboot.errors import ContentError, DescriptorsError, RenderError, lacks_descriptor, raise_without_descriptor
from netboot.model import urls
from netboot.model.boot.offer import (
    InspectPlan,
    InstallPlan,
    LocalBootPlan,
    RescuePlan,
    ScriptLanguage,
    ScriptPlan,
    WaitPlan,
    WaitReason,
)
from netboot.model.clock import utc_now
from netboot.model.host.disk_rule import DiskRule
from netboot.model.host.host import Host, HostName
from netboot.model.host.mac import Mac
from netboot.model.host.role_ignition import Deadline
from netboot.model.install.event import Step
from netboot.model.install.token import TokenKind, Tokens
from netboot.model.install.wipe import Wipe, WipeState
from netboot.model.release import RemoteRelease
from netboot.model.urls import HERE, ContentPlace
from netboot.render import boot_script, kernel_line, kickstart
from netboot.render.template_engine import Engine

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Ready:
    """A host without a problem, the role's file that it has, and when the first secret of that ends.

    `is_held`: a rollout lets it join later, so that it needs no file.
    """

    host: Host
    is_held: bool
    stamp: FileStamp | None
    until: datetime | None


class Documents:
    """Renders documents from one set of templates and what hosts install.

    `place`: the URLs of the content. `log_port`: our port for machines' logs; 0: they send none. `is_held`: a host
    that a rollout lets join later is installed without its role's file.
    """

    def __init__(
        self,
        engine: Engine,
        content: HostContent,
        *,
        place: ContentPlace = HERE,
        sets_clock: bool = False,
        embeds_ignition: bool = False,
        log_port: int = 0,
        updates: NodeUpdateRules = NodeUpdateRules(),  # noqa: B008 - frozen
        now: Callable[[], datetime] = utc_now,
        is_held: Callable[[HostName], bool] = lambda _: False,
    ) -> None:
        self.content, self.is_held = content, is_held
        self.ignition = IgnitionDocuments(engine, now, sends_journal=log_port != 0, updates=updates)
        self.embeds_ignition, self.updates = embeds_ignition, updates
        self.place, self._engine = place, engine
        self._sets_clock, self._log_port, self._now = sets_clock, log_port, now
        self._ready: dict[tuple[HostName, ScriptLanguage], _Ready] = {}  # found without a problem

    def with_content(self, content: HostContent) -> "Documents":
        """Return documents of the same templates whose content was read anew."""
        return Documents(
            self._engine,
            content,
            place=self.place,
            sets_clock=self._sets_clock,
            embeds_ignition=self.embeds_ignition,
            log_port=self._log_port,
            updates=self.updates,
            now=self._now,
            is_held=self.is_held,
        )

    def elsewhere(self, host: Host) -> tuple[Step, ...]:
        """Return the steps of a host's install that are requests to another server, so that none comes here."""
        kernel, is_elsewhere = bool(self.place.loader_url_for("")), bool(self.place.url_for(""))
        found = {Step.KERNEL: kernel, Step.INITRD: kernel, Step.STAGE2: is_elsewhere}
        found[Step.OSTREE] = is_elsewhere or isinstance(host.release, RemoteRelease)
        return tuple(step for step, is_there in found.items() if is_there)

    def script(self, plan: ScriptPlan, language: ScriptLanguage, *, base_url: str, is_built_in: bool = False) -> str:
        """Write a machine's script; raise RenderError. `is_built_in`: not from the operator's templates."""
        engine = _built_in_engine() if is_built_in else self._engine
        return boot_script.boot_script(
            engine, plan, language, base_url=base_url, place=self.place, log_port=self._log_port
        )

    def autoexec(self, mac: Mac | None, *, base_url: str) -> str:
        """Write the script that leads an iPXE to its script; the built-in one where the operator's template fails."""
        try:
            return boot_script.autoexec(self._engine, mac, base_url=base_url, log_port=self._log_port)
        except RenderError as error:
            log.debug("boot.autoexec_built_in", reason=str(error))  # `check` names it
            return boot_script.autoexec(_built_in_engine(), mac, base_url=base_url, log_port=self._log_port)

    async def kickstart(self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str) -> str:
        """Write a Kickstart; raise RenderError, or ContentError for a release that is not there."""
        release = await self.content.release(host)
        major, virtual_ip = await self._installer_major(host), None
        try:
            virtual_ip = (await self.ignition.role_file(host)).file.virtual_ip_of_start
        except RenderError as error:  # the installed system's request reports it
            raise_without_descriptor(error)
        return self._kickstart(
            host, tokens, mac=mac, base_url=base_url, ref=release.ref, major=major, virtual_ip=virtual_ip
        )

    async def _installer_major(self, host: Host) -> int | None:
        return await self.content.installer_major(host) if host.ntp else None  # only time servers depend on it

    def _kickstart(
        self,
        host: Host,
        tokens: Tokens,
        *,
        mac: Mac,
        base_url: str,
        ref: str,
        major: int | None,
        virtual_ip: IPv4Address | None = None,
    ) -> str:
        return kickstart.kickstart(
            self._engine,
            host,
            mac=mac,
            base_url=base_url,
            report_token=tokens.report,
            ignition_token=tokens.ignition,
            ref=ref,
            installer_major=major,
            sets_clock=self._sets_clock,
            embeds_ignition=self.embeds_ignition,
            virtual_ip=virtual_ip,
            place=self.place,
            log_port=self._log_port,
        )

    def kernel_lines(self, host: Host, tokens: Tokens, *, mac: Mac, base_url: str) -> dict[str, str]:
        """Return the kernel arguments of installer and installed system, by these names; raise RenderError."""
        installer = kernel_line.installer(
            host,
            mac=mac,
            base_url=base_url,
            kickstart_token=tokens.kickstart,
            place=self.place,
            log_port=self._log_port,
        )
        installed = kernel_line.installed(
            host, mac=mac, base_url=base_url, ignition_token=None if self.embeds_ignition else tokens.ignition
        )
        return {"installer": " ".join(installer), "installed": " ".join(installed)}

    def inspection_kickstart(self, name: str, *, mac: Mac, base_url: str, token: str) -> str:
        """Write the Kickstart that inspects a machine; raise RenderError."""
        return kickstart.inspection(self._engine, name, mac=mac, base_url=base_url, token=token)

    def wipe_kickstart(self, wipe: Wipe, *, mac: Mac, base_url: str, token: str) -> str:
        """Write the Kickstart that erases the disk of a retired host's machine; raise RenderError."""
        return kickstart.wiping(self._engine, wipe, mac=mac, base_url=base_url, token=token)

    def is_ready(self, host: Host, language: ScriptLanguage) -> bool:
        """Return whether `problems` found none for this host, and its role's file is the same. From memory."""
        ready = self._ready.get((host.name, language))
        found = host, self.is_held(host.name), _stamp_of(host)
        if ready is None or (ready.host, ready.is_held, ready.stamp) != found:
            return False
        return ready.until is None or self._now() < ready.until

    async def problems(
        self, host: Host, languages: Collection[ScriptLanguage] = tuple(ScriptLanguage), *, joins_later: bool = False
    ) -> list[RenderError | ContentError]:
        """Render everything that an install of this host needs; list what is missing or cannot be rendered.

        `joins_later`: as if a rollout held it, so that its role's file may be missing.
        """
        stamp, is_held = _stamp_of(host), self.is_held(host.name)
        base_url, tokens = urls.LONGEST_BASE_URL, Tokens(*["0" * 32] * len(TokenKind))
        found: list[RenderError | ContentError] = [RenderError(fault) for fault in host.faults]
        deadlines: tuple[Deadline, ...] = ()
        for attempt in (
            self.content.check_medium(host),
            self.content.check_architectures(host),
            self.content.release(host),
            self._ignition(host, tokens, base_url=base_url, is_held=is_held or joins_later),
        ):
            try:
                made = await attempt
                deadlines = made.role.deadlines if isinstance(made, IgnitionSet) else deadlines
            except (RenderError, ContentError) as error:
                found.append(error)
            except OSError as error:
                if lacks_descriptor(error):
                    found.append(DescriptorsError())
                    continue
                reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
                cure = "let the user that runs netboot read it"
                found.append(ContentError(f"cannot read what {host.name} is installed from: {reason}; {cure}"))
        major = await self._installer_major(host)
        released = replace(host, release=host.release or "none")  # a missing release is reported above
        plan = InstallPlan(host, tokens.kickstart, host.mac)
        found += _failures(
            [
                lambda: self._kickstart(released, tokens, mac=host.mac, base_url=base_url, ref="none", major=major),
                *(partial(self.script, plan, language, base_url=base_url) for language in languages),
            ]
        )
        if not found and is_held >= joins_later:
            until = min((each.at for each in deadlines), default=None)
            self._ready |= {(host.name, language): _Ready(host, is_held, stamp, until) for language in languages}
        return list({str(error): error for error in found}.values())  # iPXE and GRUB share a kernel line

    async def _ignition(self, host: Host, tokens: Tokens, *, base_url: str, is_held: bool) -> IgnitionSet | bytes:
        if is_held and not self.embeds_ignition:
            return await self.ignition.render_held(host, tokens, mac=host.mac, base_url=base_url)
        embeds = self.embeds_ignition
        return await self.ignition.render(host, tokens, mac=host.mac, base_url=base_url, is_embedded=embeds)

    def script_problems(self, mac: Mac, host: Host | None) -> list[RenderError]:
        """Render every script that a machine may get before and after an install; list what cannot be rendered."""
        reasons = [reason for reason in WaitReason if (reason is WaitReason.UNKNOWN_HOST) == (host is None)]
        plans: list[ScriptPlan] = [LocalBootPlan(mac, host), *(WaitPlan(mac, reason, host) for reason in reasons)]
        name, base_url, token = host.name if host else mac, urls.LONGEST_BASE_URL, "0" * 32
        wipe = Wipe(HostName("retired"), (mac,), DiskRule(serial="S1"), WipeState.REQUESTED, self._now())
        plans.append(InspectPlan(mac, "medium", host, token))
        plans.append(RescuePlan(mac, "medium", host) if host else InspectPlan(mac, "medium", None, token, wipe))
        scripts = [
            partial(self.script, plan, language, base_url=base_url) for plan in plans for language in ScriptLanguage
        ]
        kickstarts = [
            partial(self.inspection_kickstart, name, mac=mac, base_url=base_url, token=token),
            partial(self.wipe_kickstart, wipe, mac=mac, base_url=base_url, token=token),
        ]
        return _failures([*scripts, *kickstarts])

    def autoexec_problems(self, mac: Mac) -> list[RenderError]:
        """Render the scripts that lead an iPXE to its script, for this MAC and for any; list what fails."""
        return _failures(
            partial(boot_script.autoexec, self._engine, named, base_url=urls.LONGEST_BASE_URL) for named in (mac, None)
        )


def _failures(renders: Iterable[Callable[[], str]]) -> list[RenderError]:
    found: dict[str, RenderError] = {}
    for render in renders:
        try:
            render()
        except RenderError as error:
            found.setdefault(str(error), error)
    return list(found.values())


@cache
def _built_in_engine() -> Engine:
    return Engine([assets_directory() / "templates"])


def _stamp_of(host: Host) -> FileStamp | None:
    return file_stamp(host.ignition) if host.ignition else None
