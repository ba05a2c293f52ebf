"""Reads the body of a machine's report: all of a short one, the beginning and the end of a long one.

The first line is the reason for which an install failed; the end of a log shows the last actions.
"""

import re
from collections.abc import AsyncIterator
from typing import Final

KEPT_OF_BEGINNING_BYTES: Final = 8 * 1024
KEPT_OF_END_BYTES: Final = 64 * 1024  # onerror.ks.j2 sends 60,000 of a log

_CUT_TOKEN_BEFORE: Final = re.compile(rb"[0-9a-f]*\Z")
_CUT_TOKEN_AFTER: Final = re.compile(rb"\A[0-9a-f]*")


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
