"""The table of the checks that an installer made before it wrote to the disk."""

from collections.abc import Iterator, Mapping, Sequence

from netboot.model.words import printable


def check_lines(checks: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Write the checks of an install, as the API has them, one a line."""
    width = max((len(check["name"]) for check in checks), default=0)
    for check in checks:
        yield printable(f"{check['name']:<{width}}  {check['result']:<7}  {check['found']}")


def reported_check_lines(text: str) -> Iterator[str]:
    """Write the checks of the event `boot.checks_reported`."""
    fields = (line.split(" ", 2) for line in text.splitlines())
    return check_lines([dict(zip(("name", "result", "found"), each, strict=True)) for each in fields])
