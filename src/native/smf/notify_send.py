# SPDX-License-Identifier: MPL-2.0
"""Delivers messages: by SMTP, or to a webhook. Runs in a process of its own, which then ends.

Imports much, and may wait for servers: neither is the daemon's affair.
"""

import fcntl
import http.client
import os
import signal
import smtplib
import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit
from zlib import crc32

from smf.notify_message import SUBJECT, TEMPLATE, Message, expand, webhook_body
from smf.notify_params import SMTP
from smf.notify_spool import Spool

MOST_TEMPLATE = 64 << 10  # bytes
TRY_AGAIN = (408, 425, 429)  # of HTTP's 4xx
AGENT = "Hull-SMF"
TLS = ("none", "starttls", "tls")
STEPS = 4  # as much as one step may take, in all


class Settings:
    """How mail is sent: the properties of the service's group `config`."""

    __slots__ = ("host", "password_file", "port", "sender", "timeout", "tls", "user")

    def __init__(self) -> None:
        self.host = "localhost"
        self.port = 25
        self.sender = ""  # root at this host
        self.tls = "none"  # of TLS; "tls" is from the first byte on
        self.user = ""  # who logs in; "": nobody does
        self.password_file = ""
        self.timeout = 30.0  # seconds, for each step


def settings(config: dict[str, str]) -> Settings:
    """From the properties as text; what is not said is as above."""
    found = Settings()
    found.host = config.get("host") or found.host
    found.port = int(config.get("port") or found.port)
    found.sender = config.get("from") or found.sender
    found.tls = config.get("tls") or found.tls
    found.user = config.get("user") or found.user
    found.password_file = config.get("password_file") or found.password_file
    found.timeout = float(config.get("timeout") or found.timeout)
    return found


class Refused(Exception):
    """The message will never be taken."""


def deliver(
    spool: Spool, names: list[str], settings: Settings, report: Callable[[str], None]
) -> bool:
    """Deliver these messages to their server, oldest first; False if that is to be tried later.

    Each is removed as soon as it is taken, or refused for good, which is reported.
    """
    for name in names:
        message = spool.read(name)
        if message is None:  # another child has been quicker
            continue
        told = f"{name}, {message.transition.fmri} {message.transition.after}"
        try:
            with bounded(STEPS * settings.timeout):
                if message.protocol == SMTP:
                    send_mail(message, settings, report)
                else:
                    call_webhook(message, settings.timeout)
        except Refused as exc:
            report(f"{message.server()} does not take {told}: {clean(exc)}; dropped")
        except (OSError, http.client.HTTPException, smtplib.SMTPException) as exc:
            report(f"{message.server()} could not be told of {told}: {clean(exc)}")
            return False
        spool.remove(name)
    return True


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """TimeoutError in time, also from a server that says a byte now and then."""

    def late(*_: object) -> None:
        raise TimeoutError(f"not done within {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def clean(text: object) -> str:
    """What a server said, for a log that somebody reads at a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(text))[:300]


# -- mail ------------------------------------------------------------------------------------------
def mail(message: Message, settings: Settings, report: Callable[[str], None]) -> EmailMessage:
    """The mail that a message is."""
    told = message.transition
    found = EmailMessage()
    sender = message.value("from") or settings.sender or f"root@{message.host}"
    found["From"] = clean(sender)
    found["To"] = clean(", ".join(message.parameters["to"]))
    for name in ("cc", "reply-to"):
        if message.value(name):
            found[name.title()] = clean(", ".join(message.parameters[name]))
    found["Subject"] = clean(expand(message.value("subject", SUBJECT), message))
    found["Date"] = formatdate(float(told.when or 0))
    # The same each time: a mail that comes twice after a crash can be told.
    found["Message-ID"] = f"<{message.id}@{message.host}>"
    found["Auto-Submitted"] = "auto-generated"
    found["X-FMEV-HOSTNAME"] = message.host
    found["X-FMEV-FMRI"] = told.fmri
    found["X-FMEV-FROM-STATE"] = told.before
    found["X-FMEV-TO-STATE"] = told.after
    found.set_content(expand(_template(message, report), message))
    return found


def _template(message: Message, report: Callable[[str], None]) -> str:
    path = message.value("msg_template")
    if not path:
        return TEMPLATE
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(MOST_TEMPLATE)
    except OSError as exc:
        report(f"msg_template {clean(path)}: {exc.strerror}; sent with the words of the house")
        return TEMPLATE


def send_mail(message: Message, settings: Settings, report: Callable[[str], None]) -> None:
    """Raises Refused, OSError, SMTPException."""
    composed = mail(message, settings, report)
    receivers = [*message.parameters["to"], *message.parameters.get("cc", ())]
    try:
        server = _connected(settings)
        try:
            refused = server.send_message(composed, to_addrs=receivers)
        finally:
            _leave(server)
    except smtplib.SMTPRecipientsRefused as exc:
        refused = exc.recipients
        if any(code < 500 for code, _ in refused.values()):
            raise
        raise Refused(refused) from exc
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as exc:
        if exc.smtp_code >= 500:
            raise Refused(f"{exc.smtp_code} {exc.smtp_error!r}") from exc
        raise
    for receiver, (code, words) in refused.items():
        report(f"{clean(receiver)} was refused: {code} {clean(words)}")


def _connected(settings: Settings) -> smtplib.SMTP:
    if settings.tls not in TLS:
        raise smtplib.SMTPException(f'config/tls is "{settings.tls}": say {", ".join(TLS)}')
    secure = ssl.create_default_context()
    where = settings.host, settings.port
    if settings.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=settings.timeout, context=secure)
    else:
        server = smtplib.SMTP(*where, timeout=settings.timeout)
    try:
        if settings.tls == "starttls":
            server.starttls(context=secure)
        if settings.user:
            with open(settings.password_file, encoding="utf-8") as file:
                server.login(settings.user, file.readline().rstrip("\n"))
    except BaseException:
        server.close()
        raise
    return server


def _leave(server: smtplib.SMTP) -> None:
    """The mail is taken or not by now, however the server takes the farewell."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


# -- webhooks --------------------------------------------------------------------------------------
def call_webhook(message: Message, timeout: float) -> None:
    """Raises Refused, OSError, HTTPException. A redirection is not followed."""
    url = urlsplit(message.value("url"))
    try:
        host, port = url.hostname or "", url.port
    except ValueError as exc:
        raise Refused(exc) from exc
    if url.scheme == "https":
        secure = ssl.create_default_context()
        peer: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=timeout, context=secure
        )
    else:
        peer = http.client.HTTPConnection(host, port, timeout=timeout)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": AGENT, "X-Event-Id": message.id}
    if url.username:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
        headers["Authorization"] = f"Basic {b64encode(login).decode()}"
    try:
        peer.request("POST", target, body=webhook_body(message), headers=headers)
        answer = peer.getresponse()
    finally:
        peer.close()
    if answer.status in TRY_AGAIN or answer.status >= 500:
        raise http.client.HTTPException(f"{answer.status} {answer.reason}")
    if not 200 <= answer.status < 300:
        raise Refused(f"{answer.status} {answer.reason}")


def lock(spool: Spool, server: str) -> int:
    """Wait until no other process tells this server from this spool; held until this one's end."""
    name = f"{spool.directory}/.lock-{crc32(server.encode()):08x}"
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor
