# SPDX-License-Identifier: MPL-2.0
"""The context of a method: as whom it runs, where, with which environment."""

import os

from smf.errors import SmfError
from smf.tree import Group, Groups

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT = (":default", "")
HOME = ":home"
# Any of these asks for a credential, and moves the working directory from / to the user's home.
CREDENTIALS = ("user", "group")
UMASK = 0o022
KEPT = ("TZ", "LANG", "LC_ALL", "HULL_ROOT")  # of startd's own environment


class BadContext(SmfError):
    """A user, group or directory that there is not, or that cannot be."""

    code = "bad_context"


class Context:
    """Everything a child needs to know between fork and exec."""

    __slots__ = ("bad", "directory", "environment", "gid", "groups", "home", "uid", "user")

    def __init__(self) -> None:
        self.uid: int | None = None  # None: as startd
        self.gid: int | None = None
        self.groups: list[int] | None = None
        self.user = "root"
        self.home = "/root"
        self.directory = "/"
        self.environment: dict[str, str] = {}
        self.bad: list[str] = []  # what was to be in it, and cannot


def resolve(method: Group, groups: Groups) -> Context:
    """A method's context: its own properties, and the instance's below them. BadContext."""
    said = _Said(method, groups.get("method_context"))
    context = Context()
    if said.text("use_profile") == "true":
        raise BadContext("use_profile: there are no execution profiles here; give user and group")
    if any(said.has(name) for name in CREDENTIALS):
        _credentials(said, context)
    directory = said.text("working_directory")
    if directory in (*DEFAULT, HOME):
        credential = directory == HOME or any(said.has(name) for name in CREDENTIALS)
        context.directory = context.home if credential else "/"
    else:
        context.directory = directory
    context.environment = {
        "PATH": PATH, **{name: os.environ[name] for name in KEPT if name in os.environ}
    }  # fmt: skip
    for entry in said.values("environment"):
        name, equals, value = entry.partition("=")
        if equals and name and not name.startswith("SMF_"):
            context.environment[name] = value
        else:
            context.bad.append(entry)
    return context


class _Said:
    """Properties of the method's group, or else of method_context."""

    def __init__(self, method: Group, common: Group | None) -> None:
        self._groups = [method] if common is None else [method, common]

    def values(self, name: str) -> tuple[str, ...]:
        for group in self._groups:
            if name in group.properties:
                return group.properties[name].values
        return ()

    def text(self, name: str) -> str:
        found = self.values(name)
        return found[0] if found else ""

    def has(self, name: str) -> bool:
        return bool(self.values(name))


def _credentials(said: _Said, context: Context) -> None:
    import grp  # most services run as root
    import pwd

    user = said.text("user")
    if user in DEFAULT:
        user = "root"
    try:
        found = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise BadContext(f'there is no user "{user}"') from None
    context.user, context.uid, context.gid = found.pw_name, found.pw_uid, found.pw_gid
    context.home = found.pw_dir

    def group_id(name: str) -> int:
        try:
            return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid
        except KeyError:
            raise BadContext(f'there is no group "{name}"') from None

    if (group := said.text("group")) not in DEFAULT:
        context.gid = group_id(group)
    if said.values("supp_groups") and said.text("supp_groups") != ":default":
        names = said.text("supp_groups").replace(",", " ").split()
        context.groups = [group_id(name) for name in names]
    else:
        context.groups = os.getgrouplist(context.user, context.gid)


def enter(context: Context) -> None:
    """Become it: in a child, before exec. OSError."""
    os.umask(UMASK)
    if context.groups is not None:
        os.setgroups(context.groups)
    if context.gid is not None:
        os.setresgid(context.gid, context.gid, context.gid)
    if context.uid is not None:
        os.setresuid(context.uid, context.uid, context.uid)
    os.chdir(context.directory)
