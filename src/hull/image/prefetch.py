# SPDX-License-Identifier: MPL-2.0
"""The files of an image of many layers: several come at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

from hull.errors import InUse
from hull.image import download, store
from hull.image.download import Progress
from hull.image.manifest import ImageManifest
from hull.image.source import Source
from hull.paths import Paths
from hull.wire import JsonObject

AT_ONCE = 3


class Together:
    """What several downloads say, as if they were one."""

    def __init__(self, images: list[ImageManifest], progress: Progress) -> None:
        self._progress = progress
        self._total = sum(image.file.size for image in images)
        self._name = f"Download {len(images)} images"
        self._guard = threading.Lock()
        self._done: dict[str, int] = {}

    def report(self, uuid: str, report: JsonObject) -> None:
        done = report.get("done")
        with self._guard:
            self._done[uuid] = done if isinstance(done, int) else 0
            whole = sum(self._done.values())
            self._progress({"name": self._name, "done": whole, "total": self._total})


def prefetch(source: Source, images: list[ImageManifest], paths: Paths, progress: Progress) -> None:
    """Download the files of images, the lowest first. Raises DownloadError, HostError.

    One that somebody else downloads at the time is left to him. What has come is kept, and checked
    again when it is used. A single image has no need of it.
    """
    if len(images) < 2:
        return
    together = Together(images, progress)

    def one(image: ImageManifest) -> None:
        try:
            with store.lock_image(paths, image.uuid, timeout=0):
                download.fetch(
                    source, image, paths, lambda report: together.report(image.uuid, report)
                )
        except InUse:
            return

    with ThreadPoolExecutor(AT_ONCE, "download") as threads:
        try:
            list(threads.map(one, reversed(images)))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
