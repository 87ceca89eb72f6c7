# SPDX-License-Identifier: MPL-2.0
"""What imgadm says while hulld works: lines on standard output, a bar on a terminal."""

import os
import sys
import time

from hull.cli.command import Args
from hull.cli.image_words import text
from hull.wire import JsonObject


def size(count: float) -> str:
    """2.83MB"""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f}{unit}" if unit == "B" else f"{count:.2f}{unit}"
        count /= 1024
    return f"{count:.2f}TB"


def duration(seconds: float) -> str:
    """19m28s"""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def bar(name: str, done: int, total: int, seconds: float, width: int) -> str:
    """One line: name, bar, per cent, bytes, rate, time to go; it fits into `width` columns."""
    share = min(done / total, 1.0) if total else 0.0
    rate = done / seconds if seconds > 0 else 0.0
    left = (total - done) / rate if rate else 0.0
    figures = f"{share * 100:3.0f}% {size(done):>8} {size(rate) + '/s':>10} {duration(left):>6}"
    label = name[: max(width // 4, 8)]
    room = width - len(label) - len(figures) - 6
    if room < 5:
        return figures[:width]
    filled = int(share * room)
    drawn = "=" * filled if filled == room else ("=" * filled + ">").ljust(room)
    return f"{label}  [{drawn}]  {figures}"


class Progress:
    """Shows hulld's reports."""

    def __init__(self, *, quiet: bool) -> None:
        self.bar = not quiet and os.isatty(2)
        self.name = ""
        self.begun = 0.0

    def __call__(self, report: JsonObject) -> None:
        if "line" in report:
            self.end()
            print(text(report, "line"), flush=True)
        elif self.bar:
            self.draw(report)

    def draw(self, report: JsonObject) -> None:
        name, done, total = text(report, "name"), report.get("done"), report.get("total")
        if not (isinstance(done, int) and isinstance(total, int)):
            return
        if name != self.name:
            self.name, self.begun = name, time.monotonic()
        width = os.get_terminal_size(2).columns or 80
        drawn = bar(name, done, total, time.monotonic() - self.begun, width - 1)
        sys.stderr.write("\r" + drawn)
        sys.stderr.flush()

    def end(self) -> None:
        """What comes next begins on a line of its own."""
        if self.name:
            sys.stderr.write("\n")
            self.name = ""


def work(args: Args, action: str, body: JsonObject) -> JsonObject:
    """Let hulld do something long, and show how far it is; returns its result."""
    progress = Progress(quiet="-q" in args.options)
    try:
        done = args.call("POST", f"/images?action={action}", body, progress=progress)
    finally:
        progress.end()
    return done if isinstance(done, dict) else {}
