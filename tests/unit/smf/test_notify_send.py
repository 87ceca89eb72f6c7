# SPDX-License-Identifier: MPL-2.0
"""A message as a mail, and the daemon's settings. What servers say is in tests/integration."""

import time
from pathlib import Path

import pytest

from smf.notify_message import Message, Transition
from smf.notify_send import Settings, bounded, clean, mail, settings

TRANSITION = Transition("svc:/site/a:default", "online", "maintenance", "method_failed", "5.5")


def made(**parameters: str) -> Message:
    values = {name.replace("_", "-"): (text,) for name, text in parameters.items()}
    if "msg-template" in values:
        values["msg_template"] = values.pop("msg-template")
    message = Message("smtp", {"to": ("a@x.example", "b@x.example"), **values}, TRANSITION)
    message.id, message.host, message.zone = "1-2-3", "host1", "global"
    return message


def test_a_mail_says_what_has_happened() -> None:
    found = mail(made(reply_to="c@x.example"), Settings(), pytest.fail)
    assert found["To"] == "a@x.example, b@x.example"
    assert found["From"] == "root@host1"
    assert found["Reply-To"] == "c@x.example"
    assert found["Message-ID"] == "<1-2-3@host1>"
    assert found["Subject"] == "Service Management Event: host1:svc:/site/a:default is maintenance"
    assert found["X-FMEV-FROM-STATE"] == "online"
    assert "svcs -xv svc:/site/a:default" in found.get_content()


def test_a_template_replaces_the_words(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.write_text("%<FMRI>: %<TO-STATE>\n")
    found = mail(made(msg_template=str(template)), Settings(), pytest.fail)
    assert found.get_content() == "svc:/site/a:default: maintenance\n"


def test_a_template_that_is_not_there_is_no_reason_to_be_silent(tmp_path: Path) -> None:
    lines: list[str] = []
    found = mail(made(msg_template=str(tmp_path / "none")), Settings(), lines.append)
    assert "went from online to maintenance" in found.get_content()
    assert "No such file" in lines[0]


def test_no_header_can_be_smuggled_in() -> None:
    found = mail(made(subject="x\r\nBcc: evil@x.example"), Settings(), pytest.fail)
    assert found["Bcc"] is None
    assert "\n" not in found["Subject"]


def test_settings_are_properties() -> None:
    found = settings({"host": "mx", "port": "587", "tls": "starttls", "from": "", "timeout": "3"})
    assert (found.host, found.port, found.tls, found.sender) == ("mx", 587, "starttls", "")
    assert found.timeout == 3.0
    assert settings({}).host == "localhost"


def test_what_a_server_says_cannot_move_a_cursor() -> None:
    assert clean("a\x1b[2Jb\x9b") == "a [2Jb "


def test_nothing_takes_for_ever() -> None:
    with pytest.raises(TimeoutError, match="not done"), bounded(0.01):
        time.sleep(5)
    with bounded(0.01):
        pass
    time.sleep(0.02)
