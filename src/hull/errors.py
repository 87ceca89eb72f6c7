# SPDX-License-Identifier: MPL-2.0
"""Every error that Hull raises on purpose. Imports nothing.

    Error                      .code, .hint, .problems on the wire
    ├── Refused                the caller can fix it
    │   ├── InvalidPayload     one or more Problems, each with the path of the bad value
    │   ├── Usage              the command line was wrong (exit status 2)
    │   ├── NotFound           ImageNotInstalled  OriginNotInstalled  ActiveImageNotFound
    │   │                      OriginNotFoundInSource  NoSources  VmNotFound
    │   ├── InUse              ImageHasDependentClones
    │   ├── ManifestValidation an image's manifest
    │   ├── InvalidState       VmNotStopped  VmHasNoOrigin
    │   ├── Unsupported        MinPlatform  MaxPlatform
    │   └── Exists  MaxOriginDepth
    └── HostError              the host could not
        ├── CommandFailed      argv, status, stderr
        ├── KernelError        operation, errno
        ├── Timeout
        ├── SourcePing  DownloadError  UploadError   an image source
        ├── PrepareImageError  PrepareImageDidNotRun
        └── Corrupt            something on disk or from the network is not what it claims to be

A class exists only where some caller treats it differently. Anything else that is raised is a bug;
the daemon logs it with its traceback and answers with the code InternalError.
"""


class Problem:
    """One thing wrong: `path` is where (`nics[0].nic_tag`), `hint` what to do about it."""

    __slots__ = ("hint", "message", "path")

    def __init__(self, path: str, message: str, hint: str = "") -> None:
        self.path = path
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.path}: {self.message}" if self.path else self.message
        return f"{text} ({self.hint})" if self.hint else text

    def __repr__(self) -> str:
        return f"Problem({self.path!r}, {self.message!r}, {self.hint!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Problem) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Error(Exception):
    """The root. The class's name is the code that crosses the wire."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        return type(self).__name__

    @property
    def problems(self) -> tuple[Problem, ...]:
        return ()


class Refused(Error):
    """The caller can fix it; nothing has changed."""


class InvalidPayload(Refused):
    """What was sent cannot be accepted; every problem is listed, not only the first."""

    def __init__(self, problems: "list[Problem] | tuple[Problem, ...]") -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self._problems = tuple(problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self._problems


class Usage(Refused):
    """The command line was wrong."""


class NotFound(Refused):
    """The VM, image, dataset or link that was named does not exist."""


class Exists(Refused):
    """What was to be made is there already."""


class InvalidState(Refused):
    """The object is not in a state that allows the operation."""


class InUse(Refused):
    """Something else depends on the object."""


class ImageNotInstalled(NotFound):
    """No such image on this host; `imgadm` ends with status 3."""


class OriginNotInstalled(ImageNotInstalled):
    """The image that an incremental one is to be laid over."""


class ActiveImageNotFound(NotFound):
    """No image source has such an image."""


class OriginNotFoundInSource(NotFound):
    """A source has an incremental image, but not what it is to be laid over."""


class NoSources(NotFound):
    """No image source is configured."""


class VmNotFound(NotFound):
    """`imgadm create` of a VM that is not there."""


class ImageHasDependentClones(InUse):
    """VMs were made from the image."""


class ManifestValidation(Refused):
    """An image's manifest breaks the rules; the message names every problem."""


class Unsupported(Refused):
    """This brand, driver or host cannot do that."""


class MinPlatform(Unsupported):
    """An image wants a newer platform."""


class MaxPlatform(Unsupported):
    """An image wants an older platform."""


class VmNotStopped(InvalidState):
    """An image is made from a VM at rest."""


class VmHasNoOrigin(InvalidState):
    """An incremental image needs an image that it is the difference to."""


class MaxOriginDepth(Refused):
    """More incremental images on top of each other than was allowed."""


class HostError(Error):
    """The host could not do what was asked; the caller did nothing wrong."""


class CommandFailed(HostError):
    """A program that Hull ran failed. `status` is the exit status, negative for a signal."""

    def __init__(self, argv: "list[str] | tuple[str, ...]", status: int, stderr: str) -> None:
        how = f"signal {-status}" if status < 0 else f"status {status}"
        last = stderr.strip().splitlines()[-1:] or ["no message"]
        super().__init__(f"{argv[0]} failed with {how}: {last[0]}")
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr


class KernelError(HostError):
    """A system call failed."""

    def __init__(self, operation: str, errno: int, reason: str) -> None:
        super().__init__(f"{operation}: {reason}")
        self.operation = operation
        self.errno = errno


class Timeout(HostError):
    """Something did not happen within its time."""


class SourcePing(HostError):
    """An image source does not answer as one."""


class DownloadError(HostError):
    """An image source broke off, or sent something else than its manifest promises."""


class UploadError(HostError):
    """An image server refuses an image, or has got something else than was sent."""


class PrepareImageError(HostError):
    """The script that prepares a VM for its image failed, or did not end."""


class PrepareImageDidNotRun(HostError):
    """The script that prepares a VM for its image never said that it runs."""


class Corrupt(HostError):
    """Data is not what it claims to be: a wrong hash, a broken archive, an unreadable record."""
