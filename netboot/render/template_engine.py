"""Renders templates strictly: an undefined variable, or a value that would break its line, is an error.

Reads no clock and no file other than a template, and never imports `content`: the caller gives the directories.
Every `{{ … }}` prints one line: a value with a control character never reaches a document. A template that
prints several lines by one expression (`super()`, a macro) uses the filter `lines`.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from netboot.errors import RenderError, raise_without_descriptor
from netboot.render.console_text import columns
from netboot.render.quoting import FILTERS, UnfitValueError, one_line

_HOST_SETTINGS: Final = frozenset(("disk", "release"))  # that a template receives if the host has them
_MISSING_KEY: Final = "'dict object' has no attribute"  # of a host's `variables`, the only table in a template
_QUOTED: Final = re.compile(r"'([^']+)'")


class _Lines(str):
    """Text of several lines that the template prints unchanged."""

    __slots__ = ()


def _printed(value: object) -> object:
    return value if isinstance(value, _Lines) else one_line(value)


class Engine:
    """The templates of the given directories; of two with one name the first directory's is used."""

    def __init__(self, directories: Sequence[Path]) -> None:
        self._directories = tuple(directories)
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader([str(directory) for directory in directories]),
            undefined=StrictUndefined,
            autoescape=False,  # the targets are not HTML; each has its own quoting filter
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,  # a template is read once: it changes with a reload, as the readiness of hosts does
            finalize=_printed,
        )
        self._environment.filters.update(FILTERS, lines=_Lines, columns=columns)

    def render(self, template: str, *, subject: str, context: Mapping[str, object]) -> str:
        """Render `template` for `subject`, a host or MAC; RenderError names document, subject, line and what to set."""
        operation = f"cannot render {template.partition('/')[0]} for {subject}"
        try:
            return self._environment.get_template(template).render(context)
        except UndefinedError as error:
            name = (_QUOTED.findall(error.message or "") or ["?"])[-1]
            setting = f"variables.{name}" if str(error).startswith(_MISSING_KEY) else name
            is_set_there = setting != name or name in _HOST_SETTINGS
            cure = f"set hosts.{subject}.{setting}" if is_set_there else "correct the template"
            raise RenderError(
                f"{operation}: template {_place(error, template)} uses undefined {name!r}; {cure}"
            ) from None
        except UnfitValueError as error:
            raise RenderError(f"{operation}: template {_place(error, template)}: {error}") from None
        except TemplateNotFound as error:
            searched = ", ".join(str(directory) for directory in self._directories) or "no directory"
            raise RenderError(f"{operation}: no template {error.name} in {searched}; restore it") from None
        except TemplateSyntaxError as error:
            place = f"{error.name or template}:{error.lineno}"
            raise RenderError(f"{operation}: template {place}: {error.message}; correct the template") from None
        except OSError as error:
            raise_without_descriptor(error)
            raise RenderError(f"{operation}: cannot read template {template}: {error.strerror}; restore it") from None
        except Exception as error:  # SecurityError, a recursive macro, and any error in a template of the site's own
            place = _place(error, template)
            raise RenderError(f"{operation}: template {place}: {error}; correct the template") from None


def _place(error: BaseException, template: str) -> str:
    """Find template and line in the traceback, which Jinja rewrites to the template's own; the innermost is used."""
    place, step = template, error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename.endswith(".j2"):
            place = f"{Path(code.co_filename).parent.name}/{Path(code.co_filename).name}:{step.tb_lineno}"
        step = step.tb_next
    return place
