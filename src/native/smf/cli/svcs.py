# SPDX-License-Identifier: MPL-2.0
"""svcs: what is the state of services, what do they depend on, why do they not run."""

import os
import sys

from smf import view
from smf.cli import columns
from smf.cli.options import Args, Command, Usage, Verb
from smf.cli.text import any_encoding, clean, short_time
from smf.errors import BadName, SmfError
from smf.fmri import MASTER, canonical, instance_of, matching
from smf.view import Instance, View

MODES = ("-d", "-D", "-l", "-L", "-n", "-x", "--graph")


def svcs(args: Args) -> int:
    modes = [flag for flag in MODES if args.has(flag)]
    if len(modes) > 1:
        raise Usage(f"{' and '.join(modes)} exclude each other")
    mode = modes[0] if modes else ""
    if args.has("-z") or args.has("-Z"):
        from smf.cli import svcs_zones

        return svcs_zones.svcs(args, mode)
    if mode in ("", "-d", "-D"):
        return rows(args, mode)
    if mode in ("-l", "-L"):
        from smf.cli import svcs_details

        return svcs_details.details(args) if mode == "-l" else svcs_details.logs(args)
    if mode == "-n":
        from smf.cli import svcs_notify

        return svcs_notify.notifications(args)
    if mode == "-x":
        from smf.cli import svcs_explain

        return svcs_explain.explanations(args)
    from smf.cli import svcs_graph

    return svcs_graph.graph(args)


def rows(args: Args, mode: str) -> int:
    """The table: of what was asked for, or of what that needs (-d), or of what needs it (-D)."""
    chosen = chosen_columns(args)
    table = columns.Table(chosen, zone_name(chosen))
    if args.has("-a") and args.words:
        complain("-a says nothing new beside operands: they are shown in any state")
    kinds = ("dependency",) if mode else ()
    names = ("tm_common_name",) if columns.needs_names(chosen) else ()
    found = view.read(args.client(), groups=names, kinds=kinds)
    shown, status = select(found, args, everything=bool(mode))
    if mode == "-d":
        shown = _unique([each for instance in shown for each in found.needed(instance)])
    elif mode == "-D":
        wanted = {instance.fmri for instance in shown}
        shown = [
            instance
            for instance in found.instances.values()
            if any(each.fmri in wanted for each in found.needed(instance))
        ]
    lines = [] if args.has("-H") else [table.header()]
    for instance in columns.arrange(shown, sort_keys(args)):
        lines.append(table.row(instance))
        if args.has("-p"):
            lines += _processes(args, instance, table.now)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return status


def chosen_columns(args: Args) -> list[str]:
    if args.has("-o"):
        return [name for value in args.options["-o"] for name in value.split(",")]
    return list(columns.VERBOSE if args.has("-v") else columns.DEFAULT)


def zone_name(chosen: list[str]) -> str:
    """The name for the column ZONE, if that is shown."""
    if "ZONE" not in map(columns.known, chosen):
        return ""
    from smf.cli import zones

    return zones.own_name()


def sort_keys(args: Args) -> list[tuple[str, bool]]:
    """-s and -S in their order; without them that of the default columns."""
    keys = [(value, flag == "-S") for flag, value in args.given if flag in ("-s", "-S")]
    if keys or args.has("-o"):
        return keys
    return [(name, False) for name in columns.DEFAULT_ORDER]


def select(found: View, args: Args, *, everything: bool = False) -> tuple[list[Instance], int]:
    """What the operands and -R name, and the exit status; without them what is enabled."""
    chosen: list[Instance] = []
    status = 0
    if args.words:
        chosen, status = _named(found, args.words)
    else:
        everything = everything or args.has("-a") or args.has("-R")
        chosen = [
            each
            for each in found.instances.values()
            if everything or each.for_good or each.for_now or not instance_of(each.fmri)
        ]
    if args.has("-R"):
        wanted = [_restarter(found, text) for text in args.options["-R"]]
        chosen = [each for each in chosen if _has_restarter(each, wanted)]
    return chosen, status


def _named(found: View, patterns: list[str]) -> tuple[list[Instance], int]:
    chosen: list[Instance] = []
    status = 0
    for pattern in patterns:
        try:
            names = matching(pattern, found.instances)
        except BadName as exc:
            complain(clean(str(exc)))
            status = 1
            continue
        if not names:
            complain(no_match(pattern))
            status = 1
        chosen += [found.instances[name] for name in names]
    return _unique(chosen), status


def _unique(instances: list[Instance]) -> list[Instance]:
    return list({each.fmri: each for each in instances}.values())


def no_match(pattern: str) -> str:
    return f'no instance matches the pattern "{clean(pattern)}"'


def complain(text: str) -> None:
    sys.stderr.write(f"svcs: {text}\n")


def _restarter(found: View, text: str) -> str:
    names = matching(text, [*found.instances, *({MASTER} - found.instances.keys())])
    if len(names) != 1 or (text.startswith("svc:") and not instance_of(canonical(text))):
        raise SmfError(f'-R takes the FMRI of one instance; "{clean(text)}" is none')
    return names[0]


def _has_restarter(instance: Instance, wanted: list[str]) -> bool:
    if not instance_of(instance.fmri):
        return False
    try:
        return canonical(instance.restarter) in wanted
    except BadName:  # then svcs -x says so
        return False


def _processes(args: Args, instance: Instance, now: float) -> list[str]:
    from smf import processes

    return [
        f"{'':15}{short_time(each.started, now):<8}   {each.pid:>6} {clean(each.name)}"
        for each in processes.of_contracts(args.places, instance.all_contracts)
    ]


def logfile(args: Args, instance: Instance) -> str:
    """Where its log is, as seen by who asked: from the global zone, below the zone's root."""
    group = instance.groups.get("restarter")
    path = group.value("logfile") if group else ""
    return os.environ.get("SMF_ZONE_ROOT", "") + (path or args.places.logfile(instance.fmri))


COMMAND = Command(
    "svcs",
    "show the states of services",
    (
        Verb(
            "",
            svcs,
            "[-aHpv] [-d | -D | -l | -L | -n | -x | --graph FILE] [-o COLUMN,…] [-R FMRI] "
            "[-s COLUMN] [-S COLUMN] [-z ZONE | -Z] [PATTERN …]",
            "Show the instances that are enabled, or all (-a), or those that a PATTERN names: an "
            "FMRI, an end of one, or a glob. -p has their processes, -d what they depend on, -D "
            "what depends on them, -l everything, -L their logs, -n who is notified, -x why they "
            "do not run; --graph draws all as FILE.dot or FILE.svg.",
            options={
                **dict.fromkeys(("-a", "-H", "-p", "-v"), ""),
                **dict.fromkeys(("-d", "-D", "-l", "-L", "-n", "-x"), ""),
                "--graph": "FILE",
                "-o": "COLUMN,…",
                "-R": "FMRI",
                "-s": "COLUMN",
                "-S": "COLUMN",
                "-z": "ZONE",
                "-Z": "",
            },
        ),
    ),
)


def main() -> None:
    any_encoding()
    sys.exit(COMMAND.main(sys.argv[1:]))
