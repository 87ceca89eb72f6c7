# SPDX-License-Identifier: MPL-2.0
"""The house rules (docs/style.md) as machines. An exception is on a list here, with its reason."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hull import errors
from hull.host.host import Attendant
from hull.net.datalink import Datalinks
from hull.storage.pool import Pool, PoolHealth
from hull.zone.runtime import Runtime
from tools import completion

TOP = Path(__file__).parents[2]
MAX_MODULE = 500
MAX_FUNCTION = 50
MAX_METHODS = 12
NATIVE = ("smf", "mdata")  # beside them is the zones' Python, which tools/native.sh makes
PYTHON = sorted(
    path
    for directory in (
        "src/hull",
        *(f"src/native/{name}" for name in NATIVE),
        "tests",
        "tools",
        "bench",
    )
    for path in (TOP / directory).rglob("*.py")
)
LAUNCHERS = sorted((TOP / "bin").iterdir())
SHELL = sorted(path for directory in ("tools", "tests") for path in (TOP / directory).rglob("*.sh"))
COMMANDS = completion.commands()
VERBS = [(command, verb) for command in COMMANDS for verb in command.verbs]
PAGES = TOP / "docs/man"
DOCUMENTS = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md")])

# Absolute paths of the host. A hosted host keeps everything below its root, so that whoever writes
# one of these has to say here which of the two he means: the machine's own, or a zone's.
HOST_PATH = re.compile(r"^/(zones|var/lib/hull|var/imgadm|run|etc/zones|usbkey|opt|var/log)\b")
HOST_PATHS = {
    # The root itself.
    ("hull/paths.py", "/var/lib/hull"),
    ("hull/client/call.py", "/var/lib/hull"),  # paths.py would cost more than the whole request
    ("hull/client/call.py", "/run/hull/hulld.sock"),  # below the root
    ("hull/cli/vminfo.py", "/usbkey/config"),  # below the root
    # The machine's.
    ("hull/daemon/lifecycle.py", "/run/hull-windows"),
    ("hull/daemon/lifecycle.py", "/run/hull-tables.json"),
    ("hull/daemon/lifecycle.py", "/run/netns/"),
    ("hull/cli/terminal.py", "/run"),  # XDG_RUNTIME_DIR of crun
    # A zone's.
    ("hull/brand/joyent.py", "/run"),
    ("hull/brand/lx.py", "/run"),
    ("hull/brand/lx.py", "/run/lock"),
    ("hull/vm/filesystem.py", "/run"),
    ("hull/vm/filesystem.py", "/run"),
    # hulld's, of its API.
    ("hull/daemon/api_zones.py", "/zones"),
    ("hull/daemon/api_zones.py", "/zones/{name}"),
    ("hull/cli/zoneadm.py", "/zones"),
    ("hull/cli/zoneadm.py", "/zones/"),
    ("hull/cli/zlogin.py", "/zones"),
    ("hull/cli/zonecfg_session.py", "/zones"),
    ("hull/cli/zonecfg_session.py", "/zones/"),
    ("hull/cli/zonecfg_session.py", "/zones?action=configure"),
    # Spoken of as zonecfg does.
    ("hull/cli/zonecfg_vm.py", "/zones/"),
    ("hull/cli/vmadm.py", "/zones/"),
    # Spoken of to an operator, who thinks in SmartOS's paths.
    ("hull/host/config.py", "/usbkey/config: "),
}
# What is larger than agreed, and how large it is now. The list may only shrink.
LARGE = {
    "tests/pool_contract.py": 566,
}


def name_of(path: Path) -> str:
    return str(path.relative_to(TOP))


def files(*paths: Path) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=name_of)


# -- size and form ---------------------------------------------------------------------------------
def test_there_is_something_to_look_at() -> None:
    assert len(PYTHON) > 100
    assert len(LAUNCHERS) >= 8
    assert len(VERBS) > 20


def sizes(path: Path) -> Iterator[tuple[str, int, int]]:
    """A module and its functions: name, lines, and how many are too many."""
    text = path.read_text(encoding="utf-8")
    yield name_of(path), len(text.splitlines()), MAX_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            yield f"{name_of(path)}: {node.name}", length, MAX_FUNCTION


@files(*PYTHON)
def test_modules_fit_in_a_head_and_functions_on_a_screen(path: Path) -> None:
    large = {name: lines for name, lines, most in sizes(path) if lines > LARGE.get(name, most)}
    assert not large


def test_the_list_of_large_things_shrinks() -> None:
    large = {name for path in PYTHON for name, lines, most in sizes(path) if lines > most}
    assert set(LARGE) <= large


@pytest.mark.parametrize("port", [Pool, PoolHealth, Runtime, Datalinks, Attendant])
def test_a_port_is_narrow_and_says_what_it_promises(port: type) -> None:
    methods = {name: f for name, f in vars(port).items() if inspect.isfunction(f)}
    public = {name: f for name, f in methods.items() if not name.startswith("_")}
    assert 0 < len(public) <= MAX_METHODS
    assert inspect.getdoc(inspect.getmodule(port))


@files(*(path for path in PYTHON if path.name == "__init__.py"))
def test_init_modules_are_empty(path: Path) -> None:
    """Importing one module of a package must not drag in the others."""
    assert path.read_text(encoding="utf-8") == ""


@files(*(path for path in PYTHON if path.name != "__init__.py"), *LAUNCHERS, *SHELL)
def test_the_licence_comes_first(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    assert first == "# SPDX-License-Identifier: MPL-2.0"


@files(*(path for path in PYTHON if path.name != "__init__.py"))
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@files(*PYTHON, *LAUNCHERS, *SHELL)
def test_nothing_is_left_for_later(path: Path) -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "X" + "XX")
    found = re.findall(rf"\b({'|'.join(marks)})\b", path.read_text(encoding="utf-8"))
    assert not found, "make it an issue"


SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore)(?P<rest>[^#]*)(?P<reason>#.*\S)?")


@files(*PYTHON, *LAUNCHERS)
def test_a_suppression_names_its_rule_and_its_reason(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for found in SUPPRESSION.finditer(line.partition('r"')[0]):
            assert re.match(r"(: ?[A-Z]+\d+|\[[a-z-]+)", found["rest"]), f"{number}: which rule?"
            assert found["reason"], f"{number}: why?"


def constants(path: Path) -> Iterator[str]:
    """The strings of a module that are not documentation, parts of f-strings among them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {
        ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, holders)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from {node.value} - docs


def test_host_paths_are_made_in_one_place() -> None:
    """The list may only shrink: what is no longer there must leave it."""
    found = {
        (str(path.relative_to(TOP / "src")), text)
        for path in PYTHON
        if path.is_relative_to(TOP / "src/hull")
        for text in constants(path)
        if HOST_PATH.match(text)
    }
    assert found == HOST_PATHS


# -- errors ----------------------------------------------------------------------------------------
ERRORS = [
    name
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, errors.Error)
]


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_class_is_used(name: str) -> None:
    """A class exists only if somebody raises it, or treats it differently."""
    users = [
        path
        for path in PYTHON
        if path.is_relative_to(TOP / "src")
        and path.name != "errors.py"
        and re.search(rf"\b{name}\b", path.read_text(encoding="utf-8"))
    ]
    assert users


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_class_is_in_the_picture(name: str) -> None:
    assert re.search(rf"\b{name}\b", errors.__doc__ or "")


# -- commands and documents ------------------------------------------------------------------------
def page(command: str) -> str:
    (path,) = PAGES.glob(f"{command}.[0-9].md")
    return path.read_text(encoding="utf-8")


@files(*LAUNCHERS)
def test_a_launcher_is_five_lines_and_executable(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("#!/usr/bin/python3 -I")
    assert len([line for line in lines if line and not line.startswith("#")]) <= 6
    assert path.stat().st_mode & 0o111 == 0o111


@files(*LAUNCHERS, *(path for name in NATIVE for path in (TOP / "src/native" / name).glob("bin/*")))
def test_a_command_has_a_man_page(path: Path) -> None:
    assert re.match(rf"# {re.escape(path.name)}\([18]\)", page(path.name))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_ends_well(command: completion.AnyCommand, capsys: pytest.CaptureFixture[str]) -> None:
    module = completion.module_of(command.name)
    if hasattr(module, "parser"):
        with pytest.raises(SystemExit) as ended:
            module.parser().parse_args(["--help"])
        assert ended.value.code == 0
    else:
        assert command.main(["--help"]) == 0
    assert command.name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "verb"), VERBS, ids=[f"{c.name} {v.name}".rstrip() for c, v in VERBS]
)
def test_a_verb_is_described_as_it_is(
    command: completion.AnyCommand, verb: completion.AnyVerb
) -> None:
    text = page(command.name)
    synopsis = " ".join(word for word in (verb.name, verb.arguments) if word)
    assert synopsis in text, f"the page must say: {synopsis}"
    for flag in verb.options.keys() - {"-h", "--help"}:
        assert re.search(rf"`{flag}\b", text), f"option {flag} is not described"
    for alias in verb.aliases:
        assert re.search(rf"\b{alias}\b", text), f"alias {alias} is not named"


LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@files(*DOCUMENTS)
def test_relative_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target
