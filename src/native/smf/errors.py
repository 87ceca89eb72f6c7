# SPDX-License-Identifier: MPL-2.0
"""What can go wrong, as far as somebody treats it differently."""


class SmfError(Exception):
    """Something that the user is told, without a traceback."""

    code = "error"


class BadName(SmfError):
    """No FMRI, or no valid name in one."""

    code = "bad_name"


class BadValue(SmfError):
    """A value that its type does not have; a type that there is not."""

    code = "bad_value"


class NotFound(SmfError):
    """No such service, instance, property group, property or snapshot."""

    code = "not_found"


class Exists(SmfError):
    """It is there already, or as something else."""

    code = "exists"


class Stale(SmfError):
    """A property group is not what it was when it was read: read it again."""

    code = "stale"


class Denied(SmfError):
    """Only root changes the repository."""

    code = "denied"


class Unwritable(SmfError):
    """The repository could not be written; nothing has changed."""

    code = "unwritable"


class Broken(SmfError):
    """svc.configd cannot be reached."""

    code = "broken"


BY_CODE = {
    each.code: each
    for each in (SmfError, BadName, BadValue, NotFound, Exists, Stale, Denied, Unwritable, Broken)
}
