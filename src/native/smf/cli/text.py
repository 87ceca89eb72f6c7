# SPDX-License-Identifier: MPL-2.0
"""How svcs and svcprop write: dates, and text from outside without control characters."""

import sys
import time

DAY = 24 * 60 * 60


def clean(text: str) -> str:
    """Text from outside, harmless on a terminal and on one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text)


def any_encoding() -> None:
    """A name that the terminal's encoding has not is shown with question marks."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # it is a TextIOWrapper


def short_time(moment: int | None, now: float) -> str:
    """STIME: the time within a day, the day within a year, else the year."""
    if moment is None:
        return "-"
    then = time.localtime(moment)
    if now - moment < DAY:
        return f"{then.tm_hour:2}:{then.tm_min:02}:{then.tm_sec:02}"
    return time.strftime("%b_%d" if now - moment < 360 * DAY else "%Y", then)


def long_time(moment: int | None) -> str:
    """A date as svcs -l and -x have it."""
    if moment is None:
        return "-"
    return time.strftime("%B %e, %Y at %I:%M:%S %p %Z", time.localtime(moment))
