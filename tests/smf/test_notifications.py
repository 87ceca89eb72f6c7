# SPDX-License-Identifier: MPL-2.0
"""setnotify by a user's hand, until a mail and a call have come (facts 11)."""

import socket
from collections.abc import Iterator

import pytest

from tests.integration.smf_sinks import Mail, Web
from tests.smf.manifests import service
from tests.smf.world import BIN, World, until

NOTIFY = "svc:/system/fm/smtp-notify:default"
MANIFEST = BIN.parent / "lib/svc/manifest/system/fm/smtp-notify.xml"


@pytest.fixture
def mail() -> Iterator[Mail]:
    sink = Mail()
    yield sink
    sink.close()


@pytest.fixture
def web() -> Iterator[Web]:
    sink = Web()
    yield sink
    sink.close()


@pytest.fixture
def notifying(own: World) -> World:
    """A world whose notifications are on."""
    for needed in ("system/filesystem/local", "milestone/network"):
        own.bring(service(needed, ":true", ":true", enabled=True))
    own.svccfg("import", str(MANIFEST))
    own.svcadm("enable", "-s", NOTIFY)
    return own


def test_a_service_that_fails_or_is_degraded_is_told_of_once(
    notifying: World, mail: Mail, web: Web
) -> None:
    world = notifying
    port = f"setprop config/port = {mail.port}"
    assert "select its service" in world.svccfg("-s", NOTIFY, port, status=1).stderr
    world.svccfg("-s", NOTIFY.rpartition(":")[0], port)
    world.svcadm("refresh", NOTIFY)
    world.svccfg("setnotify", "-g", "to-maintenance", "mailto:ops@example.com?reply-to=us@here")
    t, failing = world.service("site/t"), world.service("site/failing", "/bin/false")
    world.svccfg("-s", "site/t", "setnotify", "to-degraded,from-degraded", web.url)
    t.enable()
    world.svcadm("mark", "degraded", t.fmri)
    until(lambda: web.taken, "the call of what is degraded")
    failing.enable(status=3)
    until(lambda: mail.taken, "the mail of what failed")
    world.svcadm("clear", t.fmri)
    until(lambda: len(web.taken) == 2, "the call of what is well again")
    assert [(each["fmri"], each["from"], each["to"]) for each in web.taken] == [
        (t.fmri, "online", "degraded"), (t.fmri, "degraded", "online")
    ]  # fmt: skip
    (told,) = mail.taken
    assert told[0] == ["ops@example.com"]
    assert told[1]["Reply-To"] == "us@here"
    assert told[1]["X-FMEV-FMRI"] == failing.fmri


def test_a_server_that_hangs_blocks_no_service(notifying: World) -> None:
    world = notifying
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        world.svccfg("setnotify", "-g", "to-online", url)
        for name in ("one", "two", "three"):
            world.service(f"site/{name}").enable()
        silent.settimeout(20)
        peer, _ = silent.accept()
        assert peer.recv(4) == b"POST"
        for name in ("one", "two", "three"):
            world.svcadm("restart", f"site/{name}")
            world.wait(f"svc:/site/{name}:default", "online")
        with peer:
            peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        silent.accept()[0].close()  # and so with the next message
    world.svccfg("delnotify", "-g", "to-online")
    assert world.svccfg("listnotify", "-g").stdout == ""
