"""An action of a page: a link to its confirmation, or why it is refused now."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ActionLink:
    """`refusal` is every reason, one a line, as the use case states it; None: the action can be requested."""

    verb: str
    label: str
    url: str
    refusal: str | None = None
