"""The cookie of a login, and where the login page leads to.

The login page calls `Logins.log_in`, then `set_session` on its redirect to `next_page`. Its handlers are `Need.OPEN`;
those of the logout are `Need.READ`, because a read-only user may log out.
"""

from typing import Final

from aiohttp import web

from netboot.model.access.accounts import SESSION_LONGEST
from netboot.operate.access.logins import LoggedIn

LOGIN_PATH: Final = "/login"
SESSION_COOKIE: Final = "netboot-session"


def set_session(answer: web.StreamResponse, request: web.Request, logged_in: LoggedIn) -> None:
    """Give the browser the cookie of a session that began."""
    answer.set_cookie(
        SESSION_COOKIE,
        logged_in.cookie,
        max_age=int(SESSION_LONGEST.total_seconds()),
        path="/",
        secure=request.secure,
        httponly=True,
        samesite="Strict",
    )


def clear_session(answer: web.StreamResponse, request: web.Request) -> None:
    """Let the browser delete the cookie of its session, after `Logins.log_out`."""
    answer.headers.add("Set-Cookie", cleared_session(request))


def cleared_session(request: web.Request) -> str:
    """Return the value of `Set-Cookie` with which the browser deletes the cookie."""
    secure = "; Secure" if request.secure else ""
    return f'{SESSION_COOKIE}=""; Max-Age=0; Path=/; HttpOnly; SameSite=Strict{secure}'


def next_page(wanted: str | None) -> str:
    """Return the page to show after a login: a path of this appliance, never another site."""
    is_path = wanted is not None and wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    is_plain = is_path and wanted is not None and wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    return wanted if is_plain and wanted is not None and not wanted.startswith(LOGIN_PATH) else "/"
