"""How the daemon's log is written: JSON lines for a machine, readable lines on a terminal; to stderr, nothing else."""

import json
import logging
import sys

import structlog

_ENCODER = json.JSONEncoder(default=str, ensure_ascii=False)  # made once: json.dumps makes one for each line


def _json(line: object, **_options: object) -> str:
    return _ENCODER.encode(line)


def configure(*, level: str, form: str) -> None:
    """Set up structlog for the process. `form`: `json`, `console`, or `auto` for what stderr is."""
    is_console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if is_console else structlog.processors.JSONRenderer(serializer=_json)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # What libraries say is worth a line only when it is a warning.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
