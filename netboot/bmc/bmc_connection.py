"""Opens one BMC with sushy for the time of one call: the login, and the end of its session.

Sessions of a BMC are few (8 on some), so each call ends its own. Nothing is fetched from the Internet.
"""

import logging
import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from netboot.bmc.bmc_fault import INSTALL_SUSHY, NO_SUSHY, BmcFault, BmcFaultError
from netboot.bmc.credentials import BmcCredentials
from netboot.bmc.redfish_faults import fault_of
from netboot.model.bmc.bmc import Bmc
from netboot.model.hidden import HIDDEN

if TYPE_CHECKING:
    from netboot.bmc.transport import BmcTransport

ON_ANSWER = Callable[[Any], None]  # with a requests.Response
Allow = Callable[[], Future[None]]
_LOGOUT_S: Final = 3.0
_WAIT_S: Final = 0.1  # between two looks whether the call is ended


class _NoInternet:
    """Refuses what sushy would fetch from other servers: the registries of messages."""

    def get(self, *_arguments: object, **_options: object) -> Any:
        raise ValueError("no registry is fetched from the Internet")


class BmcConnection:
    """One BMC for one call. Opened by the first use; `close` ends its session."""

    def __init__(
        self,
        bmc: Bmc,
        read_credentials: Callable[[], BmcCredentials],
        *,
        timeout_s: float,
        deadline_s: float,
        on_answer: ON_ANSWER | None = None,
    ) -> None:
        self.bmc = bmc
        self._read_credentials = read_credentials
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._transport: BmcTransport | None = None
        self._root: Any = None
        self._aborted = threading.Event()
        self._username = self._password = ""
        self.on_answer = on_answer
        self.allow: Allow | None = None  # of the changes that follow

    def root(self) -> Any:
        """Return sushy's service root, logged in; raise BmcFaultError or an error of sushy."""
        if self._root is None:
            self._root = self._open()
        return self._root

    @property
    def connector(self) -> Any:
        """sushy's connector, for requests that sushy has no method for."""
        return self.root()._conn

    @property
    def certificate_sha256(self) -> str:
        """The digest of the BMC's certificate; empty without TLS."""
        return self._transport.certificate_sha256 if self._transport is not None else ""

    @property
    def has_session(self) -> bool:
        """Return whether the login is a session, else it is sent with each request (Basic)."""
        return bool(self.root()._auth.can_refresh_session())

    @property
    def is_outcome_unknown(self) -> bool:
        return self._transport is not None and self._transport.is_outcome_unknown

    def abort(self) -> None:
        """End the call from another thread."""
        self._aborted.set()
        if self._transport is not None:
            self._transport.abort()

    def pause(self, seconds: float) -> None:
        """Wait between two requests; raise BmcFaultError if the call is ended meanwhile."""
        if self._aborted.wait(seconds):
            raise _late()

    def _wait_until_allowed(self) -> None:
        """Wait for what judges a change on the event loop; raise what it raises, or BmcFaultError at the call's end.

        The judgement is not cancelled: it may have been stored already.
        """
        if self.allow is None:
            return
        judged = self.allow()
        while not futures.wait([judged], timeout=_WAIT_S).done:
            if self._aborted.is_set():
                reason = "nothing was sent, because it was not judged in time"
                cure = "request it again; the page /appliance shows a slow store"
                raise BmcFaultError(BmcFault.TIMEOUT, reason, cure)
        judged.result()

    def secrets(self) -> tuple[str, ...]:
        """Return user and password, to hide them where a BMC repeats them."""
        return tuple(filter(None, (self._password, self._username)))

    def without_password(self, text: str) -> str:
        return text.replace(self._password, HIDDEN) if self._password else text

    def close(self) -> None:
        """End the session; a BMC that does not do so ends it by itself after a while."""
        root, self._root = self._root, None
        if root is None or self._transport is None:
            return
        self._transport.begin_end(_LOGOUT_S)
        auth, root._auth = root._auth, None
        limit = threading.Timer(_LOGOUT_S, self._transport.abort)  # of an answer that comes byte by byte
        limit.daemon = True
        limit.start()
        with suppress(Exception):  # the call has its result already
            auth.close()
        limit.cancel()

    def _open(self) -> Any:
        try:
            import sushy
            from sushy import auth as sushy_auth
            from sushy import connector as sushy_connector

            from netboot.bmc.transport import BmcTransport
        except ImportError as error:
            raise BmcFaultError(BmcFault.NO_LIBRARY, NO_SUSHY, INSTALL_SUSHY) from error
        _keep_out_of_the_log()
        credentials = self._read_credentials()
        self._username, self._password = credentials.username, credentials.password
        self._transport = BmcTransport(
            self.bmc.url, self.bmc.certificate, timeout_s=self._timeout_s, deadline_s=self._deadline_s
        )
        if self._aborted.is_set():
            self._transport.abort()
        connector = sushy_connector.Connector(self.bmc.url, response_callback=self._answered)
        session = connector._session
        session.trust_env = False  # no proxy, and no password of ~/.netrc
        session.headers["Accept-Encoding"] = "identity"
        session.adapters.clear()
        session.mount(self.bmc.url, self._transport)
        session.mount("", self._transport)  # which refuses what is not the BMC's
        root = sushy.Sushy(
            self.bmc.url,
            auth=_login(sushy, sushy_auth, credentials),
            connector=connector,
            public_connector=_NoInternet(),
        )
        self._transport.before_change = self._wait_until_allowed
        self._transport.counts_changes = True
        return root

    def _answered(self, response: Any) -> None:
        if self.on_answer is not None:
            self.on_answer(response)


def _late() -> BmcFaultError:
    return BmcFaultError(BmcFault.TIMEOUT, "the BMC did not do it in time", "look at the BMC's own page")


def _login(sushy: Any, sushy_auth: Any, credentials: BmcCredentials) -> Any:
    """Make a login by a session; by Basic for a BMC that has none.

    sushy's own tries Basic also after a wrong password: two failed logins, which lock an account sooner.
    """

    class Login(sushy_auth.SessionAuth):  # type: ignore[misc]  # sushy has no types
        def _do_authenticate(self) -> None:
            root = self._root_resource.json
            if "SessionService" in root or (root.get("Links") or {}).get("Sessions"):
                try:
                    super()._do_authenticate()
                except sushy.exceptions.SushyError as error:
                    if fault_of(error).fault is BmcFault.LOGIN:
                        raise
                else:
                    return
            self._connector.set_http_basic_auth(self._username.encode(), self._password.encode())

    return Login(credentials.username, credentials.password)


def _keep_out_of_the_log() -> None:
    """Drop what sushy logs: whole answers of a BMC, and warnings of what is handled here."""
    logging.getLogger("sushy").setLevel(logging.CRITICAL + 1)
