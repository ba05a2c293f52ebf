"""Marks a handler as an operation of the API: what it reads, what it answers with, and how it refuses.

The description of the API is made from these marks; a request is served without them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from inspect import getdoc
from typing import Any, Final, TypeVar

from netboot.admin.api.request_models import RequestModel
from netboot.errors import NetbootError

JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
_MARK: Final = "netboot_operation"

Handling = TypeVar("Handling", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """What a handler reads and answers with. `answer` and `body` are types, of which the JSON Schema is made."""

    name: str
    subject: str
    summary: str
    details: str
    _: KW_ONLY
    answer: Any = None  # None: no body
    status: int = 200
    other_statuses: Sequence[int] = ()  # with the same answer
    media_type: str = JSON
    query: type[RequestModel] | None = None
    body: Any = None
    body_media_type: str = JSON  # another one: bytes
    request_headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # the schema of each
    errors: Sequence[type[NetbootError]] = ()
    statuses: Sequence[int] = ()  # of refusals that have no error of their own
    headers: Sequence[str] = ()  # of the answer


def operation(answer: Any = None, **described: Any) -> Callable[[Handling], Handling]:
    """Describe a handler, by the fields of `Operation`; its docstring is the summary, and after it the details."""

    def mark(handler: Handling) -> Handling:
        summary, _, details = (getdoc(handler) or "").partition("\n")
        module = handler.__module__.split(".")
        name = f"{module[-1].removesuffix('_api')}.{handler.__name__}"
        found = Operation(name, module[-2], summary.removesuffix("."), details.strip(), answer=answer, **described)
        setattr(handler, _MARK, found)
        return handler

    return mark


def operation_of(handler: Any) -> Operation | None:
    """Return the description of a handler, also of one that wraps it by `functools.wraps`."""
    found = getattr(handler, _MARK, None)
    return found if isinstance(found, Operation) else None
