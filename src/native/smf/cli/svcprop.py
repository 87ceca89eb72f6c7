# SPDX-License-Identifier: MPL-2.0
"""svcprop: what properties services and instances have, for scripts."""

import sys

from smf.cli.options import Args, Command, Usage, Verb
from smf.cli.text import clean
from smf.client import Client
from smf.errors import BadName, Broken, NotFound, SmfError
from smf.fmri import instance_of, is_exact, is_glob, matching, parse
from smf.tree import RUNNING, Groups, Property

VIEWS = ("-C", "-c", "-s")
# What a shell would act on.
_ESCAPED = frozenset(";&()|^<>\n \t\\\"'`")


class Wanted:
    """Properties of one entity: a group's, or one; names that are "" are all."""

    __slots__ = ("entity", "group", "prop")

    def __init__(self, entity: str, group: str = "", prop: str = "") -> None:
        self.entity = entity
        self.group = group
        self.prop = prop


def svcprop(args: Args) -> int:
    _check(args)
    if args.has("-z"):
        from smf.cli import zones

        zones.refuse_inside()
        zones.read_nothing()
        argv = [word for flag, value in args.given if flag != "-z"
                for word in ((flag, value) if value else (flag,))]  # fmt: skip
        return zones.run(zones.find(args.value("-z")), "svcprop", [*argv, "--", *args.words])
    printer = Printer(args)
    client = args.client()
    wanted = _wanted(args, client, printer)
    if args.has("-w"):
        wait(client, wanted)
    alone = len(wanted) == 1 and bool(wanted[0].prop)
    entities = {each.entity for each in wanted}
    printer.form = Form(
        plain=alone and not args.has("-t") and not args.has("-f"),
        whole=args.has("-f") or len(entities) > 1 or len(args.words) > 1,
    )
    seen: dict[str, Groups] = {}
    for each in wanted:
        if each.entity not in seen:
            seen[each.entity] = look(args, client, each.entity)
        printer.show(each, seen[each.entity])
    return printer.status


def _check(args: Args) -> None:
    if not args.words:
        raise Usage("say which service or instance")
    views = [flag for flag in VIEWS if args.has(flag)]
    if len(views) > 1:
        raise Usage(f"{' and '.join(views)} exclude each other")
    if args.has("-w") and (len(args.words) > 1 or args.has("-c") or args.has("-s")):
        raise Usage("-w waits for one operand, and sees it as -C does")


# -- what is asked for -----------------------------------------------------------------------------
def _wanted(args: Args, client: Client, printer: "Printer") -> list[Wanted]:
    found = [each for word in args.words for each in _named(word, client, printer)]
    if not args.has("-p"):
        return found
    if any(each.group for each in found):
        raise Usage("-p says which properties, and so does the operand")
    chosen = []
    for entity in found:
        for text in args.options["-p"]:
            group, _, prop = text.partition("/")
            if not group:
                raise Usage(f'-p takes GROUP or GROUP/PROPERTY, not "{clean(text)}"')
            chosen.append(Wanted(entity.entity, group, prop))
    return chosen


def _named(word: str, client: Client, printer: "Printer") -> list[Wanted]:
    """What an operand means. Nothing, with a complaint, if it matches nothing."""
    entities = client.entities()
    instances = [each for each in entities if instance_of(each)]
    group = prop = ""
    pattern = word
    if ":properties/" in word:
        pattern, _, rest = word.partition(":properties/")
        group, _, prop = rest.partition("/")
        pattern = pattern.rstrip("/")
    try:
        if is_exact(pattern):
            entity = parse(pattern).entity
            names = [entity] if entity in entities else []
        else:
            # A glob matches services as well.
            names = matching(pattern, entities if is_glob(pattern) else instances)
    except BadName as exc:
        printer.complain(clean(str(exc)))
        return []
    if not names:
        printer.complain(f'no service or instance matches the pattern "{clean(word)}"')
    return [Wanted(name, group, prop) for name in names]


def look(args: Args, client: Client, entity: str) -> Groups:
    """An entity as the options say: as it runs, now (-c), uncomposed (-C), in a snapshot (-s)."""
    if args.has("-C") or args.has("-w") or not instance_of(entity):
        if args.has("-s"):
            raise SmfError(f"{entity} is a service: only instances have snapshots")
        return client.attached(entity)
    if args.has("-s"):
        return client.composed(entity, args.value("-s"))
    now = client.composed(entity)
    if args.has("-c"):
        return now
    try:
        running = client.composed(entity, RUNNING)
    except NotFound:  # nobody has refreshed it yet
        return now
    passing = {name: group for name, group in now.items() if not group.persistent}
    return {**running, **passing}


def wait(client: Client, wanted: list[Wanted]) -> None:
    """Until somebody changes the group. SmfError, Broken."""
    if len(wanted) != 1 or not wanted[0].group:
        raise SmfError(
            "-w waits for one property group: say it with -p, of one instance or service"
        )
    import json

    watched = [wanted[0].entity, wanted[0].group]
    connection = client.watch()
    received = b""
    while True:
        chunk = connection.recv(1 << 16)
        if not chunk:
            raise Broken("svc.configd has ended; wait again")
        *lines, received = (received + chunk).split(b"\n")
        if any(watched in json.loads(line)["changed"] for line in lines):
            return


# -- what is said ----------------------------------------------------------------------------------
class Form:
    """How properties are written: values alone (plain), or with names, perhaps whole FMRIs."""

    __slots__ = ("plain", "whole")

    def __init__(self, *, plain: bool, whole: bool) -> None:
        self.plain = plain
        self.whole = whole


class Printer:
    """Writes properties, and says what is not there."""

    def __init__(self, args: Args) -> None:
        self.quiet = args.has("-q")
        self.complains = not self.quiet or args.has("-v")
        self.terminal = sys.stdout.isatty()
        self.form = Form(plain=False, whole=False)
        self.status = 0

    def complain(self, text: str) -> None:
        self.status = 1
        if self.complains:
            sys.stderr.write(f"svcprop: {text}\n")

    def show(self, wanted: Wanted, groups: Groups) -> None:
        if not wanted.group:
            for name, group in groups.items():
                self._properties(wanted.entity, name, group.properties)
            return
        found = groups.get(wanted.group)
        if found is None:
            self.complain(f'{wanted.entity} has no property group "{clean(wanted.group)}"')
        elif not wanted.prop:
            self._properties(wanted.entity, wanted.group, found.properties)
        elif wanted.prop not in found.properties:
            name = clean(f"{wanted.group}/{wanted.prop}")
            self.complain(f'{wanted.entity} has no property "{name}"')
        else:
            properties = {wanted.prop: found.properties[wanted.prop]}
            self._properties(wanted.entity, wanted.group, properties)

    def _properties(self, entity: str, group: str, properties: dict[str, Property]) -> None:
        if self.quiet:
            return
        where = f"{entity}/:properties/" if self.form.whole else ""
        for name, prop in properties.items():
            values = [escaped(text) for text in prop.values]
            if self.form.plain:
                text = "\n".join(values)
            else:
                text = " ".join([f"{where}{group}/{name}", prop.kind, *values])
            if self.terminal:
                text = "\n".join(clean(line) for line in text.split("\n"))
            sys.stdout.write(text + "\n")


def escaped(text: str) -> str:
    """A value as one word of a shell."""
    if not text:
        return '""'
    return "".join("\\" + c if c in _ESCAPED else c for c in text)


COMMAND = Command(
    "svcprop",
    "show the properties of services",
    (
        Verb(
            "",
            svcprop,
            "[-fqtvw] [-C | -c | -s SNAPSHOT] [-p PROPERTY] [-z ZONE] PATTERN …",
            "Show properties of what each PATTERN names, as the instance runs: its snapshot "
            "running, with what holds until the next boot. -c as it is now, -C only what is "
            "attached to it. -w waits until the group of -p changes.",
            options={
                **dict.fromkeys(("-C", "-c", "-f", "-q", "-t", "-v", "-w"), ""),
                "-p": "PROPERTY",
                "-s": "SNAPSHOT",
                "-z": "ZONE",
            },
        ),
    ),
)


def main() -> None:
    # Values are bytes of any kind, and scripts get them as they are.
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]  # it is a TextIOWrapper
    sys.exit(COMMAND.main(sys.argv[1:]))
