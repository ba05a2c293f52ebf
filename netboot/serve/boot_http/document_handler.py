"""Documents and reports of a booting machine by HTTP: iPXE script, Kickstart, Ignition.

Thin: parses the request, calls the service, writes the reply with its length. `serve.static_http` serves what shim and
GRUB request beside their loader: its files and grub.cfg.
Status per client: 503 is "not now" to Ignition and curl; 404 and 403 are final.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from ipaddress import IPv4Address
from typing import Final

import structlog
from aiohttp import web

from netboot.boot.documents.ignition_documents import IgnitionPart
from netboot.boot.inspection_documents import INSPECTED, InspectionDocuments, WipeReport
from netboot.boot.node_reports import INTERVAL_S, NodeReports, TooSoon
from netboot.boot.records.log_lines import LogLines
from netboot.boot.script_service import ScriptService
from netboot.boot.token_documents import DocumentService, Refusal, Report
from netboot.errors import ContentError, DescriptorsError, RenderError, StoreError
from netboot.model import urls
from netboot.model.boot.machine_facts import facts_in
from netboot.model.boot.offer import ScriptLanguage
from netboot.model.host.mac import Mac
from netboot.model.install.checks import MalformedReportError
from netboot.model.node_report import LARGEST_NODE_REPORT
from netboot.serve.static_http.refused import LONGEST_BODY_BYTES
from netboot.serve.static_http.static_files import base_url_at
from netboot.telemetry.health import Health
from netboot.telemetry.logs import LineLimit
from netboot.wire.syslog.syslog_message import reported_message

REPORT_TIMEOUT_S: Final = 30.0  # any machine may begin a report: its token is checked at the end
LINES_AT_ONCE: Final = 64  # of a log; then the loop's other tasks have their turn
KEPT_OF_BEGINNING_BYTES: Final = 8 * 1024  # of a report: its first line is the reason for which an install failed
KEPT_OF_END_BYTES: Final = 64 * 1024  # the last actions in a log; onerror.ks.j2 sends 60,000 of it

_CUT_TOKEN_BEFORE: Final = re.compile(rb"[0-9a-f]*\Z")
_CUT_TOKEN_AFTER: Final = re.compile(rb"\A[0-9a-f]*")

CheckHealth = Callable[[], Awaitable[Health]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class DocumentHandler:
    """The handlers of the boot LAN that need the boot services."""

    script_service: ScriptService
    document_service: DocumentService
    inspection_documents: InspectionDocuments
    node_reports: NodeReports
    _: KW_ONLY
    health_check: CheckHealth
    log_lines: LogLines | None = None  # None: no logs are received
    advertised: Mapping[str, str]  # by our address, the address that machines are given instead
    _taken: LineLimit = field(default_factory=LineLimit, init=False)

    def routes(self) -> list[web.RouteDef]:
        """List the routes; GET brings HEAD."""
        return [
            web.get(urls.IPXE_SCRIPT_ROUTE, self.ipxe_script),
            web.get(urls.KICKSTART_ROUTE, self.kickstart),
            web.get(urls.INSPECTION_ROUTE, self.inspection),
            web.get(urls.IGNITION_ROUTE, self.ignition),
            web.get(urls.IGNITION_PART_ROUTE, self.ignition),
            web.post(urls.REPORT_ROUTE, self.report),
            web.post(urls.NODE_REPORT_ROUTE, self.node_report),
            web.get("/healthz", self.health),
            web.get(urls.ALIVE_PATH, self.alive),
        ]

    async def alive(self, _request: web.Request) -> web.Response:
        """Answer as long as the event loop runs, whatever the state of the appliance is."""
        return web.Response(status=204)

    async def ipxe_script(self, request: web.Request) -> web.Response:
        try:
            mac = Mac.parse(request.match_info["mac"])
        except ValueError:
            raise web.HTTPNotFound from None
        try:
            script = await self.script_service.serve_script(
                mac,
                _remote_address(request),
                ScriptLanguage.IPXE,
                base_url=self._base_url(request),
                is_head=request.method == "HEAD",
                facts=facts_in(request.rel_url.raw_query_string),
            )
        except DescriptorsError as error:  # not even the script that waits can be read
            return self._not_now("script", request, error)
        return _text(script.text)

    async def kickstart(self, request: web.Request) -> web.Response:
        try:
            found = await self.document_service.serve_kickstart(
                request.match_info["token"],
                _remote_address(request),
                base_url=self._base_url(request),
                is_head=request.method == "HEAD",
            )
        except (StoreError, RenderError, ContentError) as error:
            return self._not_now("kickstart", request, error)
        return _refused(found) if isinstance(found, Refusal) else _text(found)

    async def inspection(self, request: web.Request) -> web.Response:
        try:
            found = await self.inspection_documents.serve_kickstart(
                request.match_info["token"], _remote_address(request), base_url=self._base_url(request)
            )
        except (StoreError, RenderError) as error:
            return self._not_now("inspection", request, error)
        return _refused(found) if isinstance(found, Refusal) else _text(found)

    async def ignition(self, request: web.Request) -> web.Response:
        part = IgnitionPart(request.match_info.get("part", "wrapper"))
        try:
            found = await self.document_service.serve_ignition(
                request.match_info["token"],
                part,
                address=_remote_address(request),
                base_url=self._base_url(request),
                is_head=request.method == "HEAD",
            )
        except (StoreError, RenderError, ContentError) as error:
            return self._not_now("ignition", request, error)
        if isinstance(found, Refusal):
            return _refused(found)
        if part is IgnitionPart.ARCHIVE:
            digest = {"X-Netboot-SHA256": hashlib.sha256(found).hexdigest()}  # embed.ks.j2 compares it
            return web.Response(body=found, content_type="application/gzip", headers={**_SECRET, **digest})
        return web.Response(body=found, content_type="application/vnd.coreos.ignition+json", headers=_SECRET)

    async def report(self, request: web.Request) -> web.Response:
        event = request.match_info["event"]
        if event == urls.LOG_REPORT and self.log_lines is not None:
            return await self._log(request, self.log_lines)
        if event not in (*Report, INSPECTED, *WipeReport):
            return _refused(Refusal.UNKNOWN)
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                body = await read_report(_at_most(LONGEST_BODY_BYTES, request.content.iter_chunked(1 << 16)))
        except (TimeoutError, web.RequestPayloadError):
            return web.Response(status=400, text="the report has no end\n", headers=_SECRET)
        address, token = _remote_address(request), request.match_info["token"]
        try:
            if event == Report.CHECKS:
                return await self._checks(token, address, body)
            refusal = await self._taken_report(token, event, address, body=body)
        except StoreError as error:
            return self._not_now("report", request, error)
        if refusal is None:
            return self._acknowledged(token, event, address)
        return _refused(refusal) if isinstance(refusal, Refusal) else _not_allowed([refusal])

    async def node_report(self, request: web.Request) -> web.Response:
        """Take what an installed node reports of its updates."""
        address, token = _remote_address(request), request.match_info["token"]
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                chunks = _at_most(LARGEST_NODE_REPORT, request.content.iter_chunked(LARGEST_NODE_REPORT))
                body = b"".join([chunk async for chunk in chunks])
            found = await self.node_reports.take(token, body, address)
        except (TimeoutError, web.RequestPayloadError):
            return web.Response(status=400, text="the report has no end\n", headers=_SECRET)
        except MalformedReportError as error:
            return self._malformed(token, address, error)
        except StoreError as error:
            return self._not_now("node", request, error)
        if found is TooSoon.TOO_SOON:
            return web.Response(status=429, text="too soon\n", headers={**_SECRET, "Retry-After": str(int(INTERVAL_S))})
        return _text("taken\n") if found is None else _refused(found)

    async def _log(self, request: web.Request, log_lines: LogLines) -> web.Response:
        """Take lines of a log. The token is checked first: only a machine of ours may make us hold so much."""
        address = _remote_address(request)
        try:
            sender = await self.document_service.log_sender(request.match_info["token"], address)
        except StoreError as error:
            return self._not_now("log", request, error)
        if isinstance(sender, Refusal):
            return _refused(sender)
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                body = b"".join(
                    [chunk async for chunk in _at_most(LONGEST_BODY_BYTES, request.content.iter_chunked(1 << 16))]
                )
        except (TimeoutError, web.RequestPayloadError):
            return web.Response(status=400, text="the log has no end\n", headers=_SECRET)
        lines = body.splitlines()
        for start in range(0, len(lines), LINES_AT_ONCE):
            log_lines.record_report(sender, address, lines[start : start + LINES_AT_ONCE], reported_message)
            await asyncio.sleep(0)
        return _text("taken\n")

    async def _checks(self, token: str, address: IPv4Address, body: str) -> web.Response:
        """Answer 200 if the machine may be installed, 409 with the reasons if it may not."""
        try:
            found = await self.document_service.report_checks(token, address=address, body=body)
        except MalformedReportError as error:
            return self._malformed(token, address, error)
        if isinstance(found, Refusal):
            return _refused(found)
        if found:
            return _not_allowed(found)
        return self._acknowledged(token, Report.CHECKS, address)

    def _malformed(self, token: str, address: IPv4Address, error: MalformedReportError) -> web.Response:
        if self._taken.note(f"{token} malformed"):
            log.warning("boot.report_malformed", address=str(address), reason=str(error))
        return web.Response(status=400, text=f"{error}\n", headers=_SECRET)

    def _acknowledged(self, token: str, event: str, address: IPv4Address) -> web.Response:
        if self._taken.note(f"{token} {event}"):
            log.info("boot.report_taken", report=event, address=str(address))
        return _text("taken\n")

    async def _taken_report(self, token: str, event: str, address: IPv4Address, *, body: str) -> Refusal | str | None:
        if event == INSPECTED:
            return await self.inspection_documents.report(token, address, body)
        if event in tuple(WipeReport):
            return await self.inspection_documents.report_wipe(token, WipeReport(event), address=address, body=body)
        if event == Report.POST:
            return await self.document_service.report_post(token, address=address)
        return await self.document_service.report(token, Report(event), address=address, body=body)

    def _base_url(self, request: web.Request) -> str:
        if request.transport is None:
            raise ConnectionResetError("the machine went away")
        return base_url_at(request.transport, self.advertised)

    def _not_now(self, what: str, request: web.Request, error: Exception) -> web.Response:
        self.document_service.record_held_back(what, _remote_address(request), error)
        return web.Response(status=503, text="not now\n", headers={**_SECRET, "Retry-After": "5"})

    async def health(self, _request: web.Request) -> web.Response:
        """Answer 200 if the appliance serves machines, else 503, with the worst state of each kind of part.

        Reasons and names are for the administration: every machine on the boot LAN may request this.
        """
        found = await self.health_check()
        text = json.dumps({"status": found.status, "parts": found.by_kind()}) + "\n"
        return web.json_response(text=text, status=200 if found.can_serve else 503, headers=_SECRET)


_SECRET: Final = {"Cache-Control": "no-store"}


def _remote_address(request: web.Request) -> IPv4Address:
    return IPv4Address(request.remote or "0.0.0.0")


def _text(body: str) -> web.Response:
    return web.Response(text=body, content_type="text/plain", headers=_SECRET)


def _not_allowed(reasons: Iterable[str]) -> web.Response:
    """Answer a machine that may not write to its disk."""
    return web.Response(status=409, text="".join(f"{reason}\n" for reason in reasons), headers=_SECRET)


def _refused(refusal: Refusal) -> web.Response:
    if refusal is Refusal.UNAUTHORISED:
        return web.Response(status=403, text="forbidden\n", headers=_SECRET)
    if refusal is Refusal.HELD:  # its sender repeats the report until a person has decided
        return web.Response(status=423, text="held\n", headers=_SECRET)
    if refusal is Refusal.JOINS_LATER:  # Ignition retries without limit
        return web.Response(status=503, text="not now\n", headers={**_SECRET, "Retry-After": "5"})
    return web.Response(status=404, text="not found\n", headers=_SECRET)


async def _at_most(most_bytes: int, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a body; raise HTTPRequestEntityTooLarge if a body without a stated length is too long."""
    total_bytes = 0
    async for chunk in chunks:
        total_bytes += len(chunk)
        if total_bytes > most_bytes:
            raise web.HTTPRequestEntityTooLarge(most_bytes, total_bytes)
        yield chunk


async def read_report(chunks: AsyncIterator[bytes]) -> str:
    """Return a report. Of one longer than both limits: the beginning, a line with the omitted size, and the end.

    Uses bounded memory for any body; the caller sets the timeout. A token that a cut
    would divide is omitted, because half of a token would not be recognised and hidden.
    """
    beginning, end, total_bytes = bytearray(), bytearray(), 0
    async for chunk in chunks:
        total_bytes += len(chunk)
        kept = KEPT_OF_BEGINNING_BYTES - len(beginning)
        beginning += chunk[:kept]
        end += chunk[kept:]
        del end[:-KEPT_OF_END_BYTES]
    left_out_bytes = total_bytes - len(beginning) - len(end)
    if left_out_bytes == 0:
        return (beginning + end).decode("utf-8", "replace")
    first, last = _CUT_TOKEN_BEFORE.sub(b"", beginning), _CUT_TOKEN_AFTER.sub(b"", end)
    marker = f"\n[{total_bytes - len(first) - len(last)} bytes of this report are left out here]\n"
    return first.decode("utf-8", "replace") + marker + last.decode("utf-8", "replace")
