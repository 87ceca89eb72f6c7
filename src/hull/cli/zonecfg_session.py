# SPDX-License-Identifier: MPL-2.0
"""What zonecfg's statements do to a configuration in memory; commit gives it to hulld, as vmadm
would."""

import os
import sys
from collections.abc import Callable

from hull.cli.command import Args, query, quote
from hull.cli.zonecfg_lang import (
    ALIASES,
    FOREIGN,
    GLOBALS,
    RESOURCES,
    Config,
    Resource,
    assignment,
    export,
    info,
    info_resource,
    parse_complex,
    plain,
)
from hull.cli.zonecfg_vm import create_payload, from_vm, new_config, update_payload
from hull.errors import HostError, NotFound, Refused, Usage

FINISH = "`end` or `cancel` it first"


class Session:
    """One zone's configuration while it is worked on."""

    def __init__(self, args: Args, name: str, uuid: str) -> None:
        self.args = args
        self.name = name
        self.uuid = uuid  # "" while there is no such zone
        self.saved: Config | None = None
        self.config: Config | None = None
        self.resource: Resource | None = None  # between add or select and end
        self.selected: Resource | None = None  # what `resource` will replace
        self.done = False
        self.load()

    def load(self) -> None:
        """What hulld knows of the zone now."""
        self.resource = self.selected = None
        self.saved = self.config = None
        for name in filter(None, (self.uuid, self.name)):
            try:
                found = self.args.call("GET", f"/zones{query(zone=name)}")
            except NotFound:
                continue
            assert isinstance(found, list)
            assert isinstance(found[0], dict)
            self.uuid = str(found[0]["uuid"])
            vm = self.args.call("GET", f"/vms/{self.uuid}")
            assert isinstance(vm, dict)
            self.saved = from_vm(vm)
            self.config = self.saved.copy()
            return

    @property
    def prompt(self) -> str:
        inside = f":{self.resource.kind}" if self.resource else ""
        return f"zonecfg:{self.name}{inside}> "

    def run(self, words: list[str]) -> None:
        """One statement. Raises Usage, Refused and what hulld answers."""
        verb, *rest = words
        if verb not in VERBS:
            raise Usage(f'unknown subcommand "{verb}"; `help` lists them')
        if self.resource and verb not in IN_RESOURCE:
            raise Refused(f"{verb} cannot be in a resource", hint=FINISH)
        VERBS[verb](self, rest)

    def must(self) -> Config:
        if self.config is None:
            raise NotFound(
                f"{self.name}: No such zone configured",
                hint="Use 'create' to begin configuring a new zone.",
            )
        return self.config


# -- the zone as a whole ---------------------------------------------------------------------------
def create(session: Session, words: list[str]) -> None:
    flags, words = _flags(words, "FbX")
    options = _values(words, ("-t", "-i", "-a"))
    if "-a" in options:
        raise Refused("a detached zone cannot be taken in", hint="use vmadm receive")
    if session.config is not None and "F" not in flags:
        raise Refused(f"{session.name}: zone already exists", hint="-F begins anew")
    if session.saved is not None:
        raise Refused("a zone that exists is not made anew", hint="`zonecfg delete` it first")
    uuid = options.get("-i") or (session.name if _is_uuid(session.name) else "")
    session.config = new_config(session.name, uuid)
    if "-t" in options:
        template = Session(session.args, options["-t"], "").must()
        values = dict(session.config.values)
        keep = {name: values[name] for name in ("zonename", "zonepath", "uuid")}
        session.config = template.copy()
        session.config.values |= keep
        session.config.resources = [
            each for each in session.config.resources if each.values.get("name") not in OWN_ATTRS
        ]
        for net in session.config.of("net"):
            net.values.pop("mac-addr", None)


OWN_ATTRS = ("alias", "create-timestamp", "vm-version")


def delete(session: Session, words: list[str]) -> None:
    flags, words = _flags(words, "F")
    _none(words)
    session.must()
    if not _sure(f"delete zone {session.name}", "delete", flags):
        return
    if session.saved is not None:
        session.args.call("DELETE", f"/zones/{quote(session.uuid)}")
    session.saved = session.config = None
    session.uuid = ""


def commit(session: Session, words: list[str]) -> None:
    """Give hulld what has changed."""
    _none(words)
    config = session.must()
    if config == session.saved:
        return
    check(config)
    if session.saved is None:
        made = session.args.call("POST", "/zones?action=configure", create_payload(config))
        assert isinstance(made, dict)
        session.uuid = str(made["uuid"])
    else:
        payload = update_payload(session.saved, config)
        if payload:
            session.args.call("POST", f"/vms/{session.uuid}?action=update", payload)
    session.load()


def revert(session: Session, words: list[str]) -> None:
    flags, words = _flags(words, "F")
    _none(words)
    if session.config != session.saved and not _sure("revert", "revert", flags):
        return
    session.load()


def verify(session: Session, words: list[str]) -> None:
    _none(words)
    config = session.must()
    check(config)
    if config == session.saved:
        session.args.call("GET", f"/zones/{session.uuid}/verify")


def check(config: Config) -> None:
    for resource in config.resources:
        if missing := resource.missing():
            raise Refused(f"{resource.kind}: required property {missing} not specified")


def info_(session: Session, words: list[str]) -> None:
    if session.resource:
        _none(words)
        sys.stdout.write(info_resource(session.resource))
        return
    kind = words[0] if words else ""
    if kind and kind not in (*GLOBALS, *ALIASES, *RESOURCES):
        raise Usage(f"info: no resource or property named {kind}")
    sys.stdout.write(info(session.must(), kind, _filters(words[1:])))


def export_(session: Session, words: list[str]) -> None:
    options = _values(words, ("-f",))
    text = export(session.must())
    if "-f" not in options:
        sys.stdout.write(text)
        return
    try:
        with open(options["-f"], "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as exc:
        raise HostError(f"cannot write {options['-f']}: {exc.strerror}") from None


def exit_(session: Session, words: list[str]) -> None:
    flags, words = _flags(words, "F")
    _none(words)
    if "F" in flags:
        session.config = session.saved
    session.done = True


def help_(session: Session, words: list[str]) -> None:
    del session, words
    sys.stdout.write(
        "".join(f"{usage}\n" for usage in HELP)
        + f"resources: {' '.join(RESOURCES)}\nproperties: {' '.join((*GLOBALS, *ALIASES))}\n"
    )


# -- resources and properties ----------------------------------------------------------------------
def add(session: Session, words: list[str]) -> None:
    if session.resource:
        add_value(session.resource, words)
        return
    config = session.must()
    if len(words) != 1:
        raise Usage("add takes one resource type")
    kind = words[0]
    if kind in FOREIGN:
        raise Refused(f"{kind} means nothing to a zone of this host")
    if kind not in RESOURCES:
        raise Usage(f"add: no resource type named {kind}")
    if kind.startswith("capped-") and config.of(kind):
        raise Refused(f"A {kind} resource already exists.", hint=f"`select {kind}` changes it")
    session.resource = Resource(kind)


def add_value(resource: Resource, words: list[str]) -> None:
    """`add property (…)`, `add options ro`, `add value (…)`."""
    if len(words) != 2:
        raise Usage("add, in a resource, takes a property and a value")
    name, value = words
    if (resource.kind, name) == ("net", "property"):
        pair = parse_complex(value)
        if set(pair) != {"name", "value"}:
            raise Usage("a property is (name=…,value=…)")
        resource.properties[pair["name"]] = pair["value"]
    elif (resource.kind, name) == ("fs", "options"):
        old = resource.values.get("options", "")
        resource.values["options"] = ",".join(part for part in (old, plain(value)) if part)
    elif (resource.kind, name) == ("rctl", "value"):
        resource.values["value"] = value
    else:
        raise Usage(f"nothing can be added to {name} of {resource.kind}")


def select(session: Session, words: list[str]) -> None:
    found = _find(session.must(), words)
    if len(found) != 1:
        raise Refused(f"select: {len(found)} resources match; it takes one")
    session.selected = found[0]
    session.resource = found[0].copy()


def remove(session: Session, words: list[str]) -> None:
    _, words = _flags(words, "F")
    if session.resource:
        _remove_value(session.resource, words)
        return
    config = session.must()
    found = _find(config, words)
    if not found:
        raise Refused(f"remove: no such {words[0]} resource")
    if len(found) > 1 and len(words) > 1:
        raise Refused(f"remove: {len(found)} resources match; say which")
    config.resources = [each for each in config.resources if not any(each is one for one in found)]


def _remove_value(resource: Resource, words: list[str]) -> None:
    if len(words) != 2:
        raise Usage("remove, in a resource, takes a property and a value")
    name, value = words
    if name == "property":
        named = parse_complex(value).get("name", "")
        if resource.properties.pop(named, None) is None:
            raise Refused(f"remove: the net has no property {named}")
    elif name == "options":
        kept = [each for each in resource.values.get(name, "").split(",") if each != plain(value)]
        resource.values[name] = ",".join(kept)
    else:
        raise Usage(f"nothing can be removed from {name}")


def set_(session: Session, words: list[str]) -> None:
    name, value = assignment(words)
    if session.resource:
        if name not in RESOURCES[session.resource.kind]:
            raise Usage(f"{session.resource.kind} has no property {name}")
        session.resource.values[name] = value
        return
    if name not in GLOBALS and name not in ALIASES:
        raise Usage(f"a zone has no property {name}")
    session.must().values[name] = value


def clear(session: Session, words: list[str]) -> None:
    if len(words) != 1:
        raise Usage("clear takes one property")
    values = session.resource.values if session.resource else session.must().values
    if words[0] not in (
        *GLOBALS,
        *ALIASES,
        *(name for each in RESOURCES.values() for name in each),
    ):
        raise Usage(f"no property {words[0]}")
    values.pop(words[0], None)


def end(session: Session, words: list[str]) -> None:
    _none(words)
    resource, config = session.resource, session.must()
    if resource is None:
        raise Refused("end: no resource is open")
    if missing := resource.missing():
        raise Refused(f"required property {missing} not specified")
    if session.selected is None:
        config.put(resource)
    else:
        config.resources = [
            resource if each is session.selected else each for each in config.resources
        ]
    session.resource = session.selected = None


def cancel(session: Session, words: list[str]) -> None:
    _none(words)
    if session.resource is None:
        raise Refused("cancel: no resource is open")
    session.resource = session.selected = None


HELP = (
    "create [-F] [-b | -t ZONE] [-i UUID]",
    "delete [-F]",
    "info [RESOURCE [PROPERTY=VALUE …] | PROPERTY]",
    "export [-f FILE]",
    "set PROPERTY=VALUE",
    "clear PROPERTY",
    "add RESOURCE; set … ; end    add PROPERTY VALUE, in a resource",
    "select RESOURCE [PROPERTY=VALUE …]",
    "remove [-F] RESOURCE [PROPERTY=VALUE …]    remove PROPERTY VALUE, in a resource",
    "end, cancel: keep or drop the open resource",
    "verify",
    "commit",
    "revert [-F]",
    "exit [-F]",
    "help",
)
VERBS: dict[str, Callable[[Session, list[str]], None]] = {
    "add": add,
    "cancel": cancel,
    "clear": clear,
    "commit": commit,
    "create": create,
    "delete": delete,
    "end": end,
    "exit": exit_,
    "export": export_,
    "help": help_,
    "info": info_,
    "remove": remove,
    "revert": revert,
    "select": select,
    "set": set_,
    "verify": verify,
}
IN_RESOURCE = ("add", "cancel", "clear", "end", "exit", "help", "info", "remove", "set")


# -- words -----------------------------------------------------------------------------------------
def _none(words: list[str]) -> None:
    if words:
        raise Usage(f"too many words: {words[0]}")


def _flags(words: list[str], known: str) -> tuple[str, list[str]]:
    """The flags that come first, without `-`, and what follows."""
    flags = ""
    while words and words[0][:1] == "-" and words[0][1:] and not set(words[0][1:]) - set(known):
        flags += words[0][1:]
        words = words[1:]
    return flags, words


def _values(words: list[str], known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    while words:
        if words[0] not in known or len(words) < 2:
            raise Usage(f"not understood: {words[0]}")
        found[words[0]] = words[1]
        words = words[2:]
    return found


def _filters(words: list[str]) -> dict[str, str]:
    return dict(assignment([word]) for word in words)


def _find(config: Config, words: list[str]) -> list[Resource]:
    if not words or words[0] not in RESOURCES:
        raise Usage("a resource type comes first")
    wanted = _filters(words[1:])
    return [each for each in config.of(words[0]) if each.matches(wanted)]


def _sure(what: str, verb: str, flags: str) -> bool:
    """-F, or an answer; without a terminal there is none."""
    if "F" in flags:
        return True
    if not os.isatty(0):
        raise HostError(
            f"{verb}: input not from terminal and -F not specified:\n"
            f"{verb} command ignored, exiting."
        )
    sys.stderr.write(f"Are you sure you want to {what} (y/[n])? ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower().startswith("y")


def _is_uuid(text: str) -> bool:
    return len(text) == 36 and all(text[n] == "-" for n in (8, 13, 18, 23))
