# SPDX-License-Identifier: MPL-2.0
"""What hulld can be asked about VMs beyond their life and configuration: vmadm's other verbs."""

from hull.daemon.route import Request, Route
from hull.daemon.schemas import OBJECT, TEXT, UUID_RESULT, exactly
from hull.host.host import Host
from hull.vm import info, kill, receive, reprovision, send
from hull.wire import Json

VM_PATH = "/vms/{uuid}"


def verb_routes(host: Host) -> list[Route]:
    """A signal, a key, another image, and what a hypervisor knows."""

    def named_kill(request: Request) -> Json:
        return kill.kill(request.params["uuid"], str(request.body.get("signal") or "TERM"), host)

    return [
        Route(
            method="POST",
            path=VM_PATH,
            action="kill",
            handler=named_kill,
            doc="Send a signal to a VM's init.",
            body=exactly(signal=TEXT),
            result=exactly(uuid=TEXT, signal=TEXT),
            mutates=True,
        ),
        Route(
            method="POST",
            path=VM_PATH,
            action="sysrq",
            handler=lambda request: kill.sysrq(request.params["uuid"], host),
            doc="Press a key of a guest's; zones have none.",
            body=exactly(type={"enum": ["nmi", "screenshot"]}),
            result=UUID_RESULT,
            mutates=True,
        ),
        Route(
            method="GET",
            path=VM_PATH + "/info",
            handler=lambda request: info.info(request.params["uuid"], host),
            doc="What a guest's hypervisor knows; zones have none.",
            result=OBJECT,
        ),
        Route(
            method="POST",
            path=VM_PATH,
            action="reprovision",
            handler=lambda request: reprovision.reprovision(
                request.params["uuid"], request.body, host
            ),
            doc="Replace a VM's root by a clone of another image.",
            body=exactly(image_uuid=TEXT),
            result=UUID_RESULT,
            long=True,
            mutates=True,
        ),
        *stream_routes(host),
    ]


def stream_routes(host: Host) -> list[Route]:
    """VMs as streams, through a file descriptor of the caller's."""
    return [
        Route(
            method="POST",
            path=VM_PATH,
            action="send",
            handler=lambda request: send.send(request.params["uuid"], request.fd, host),
            doc="Stop a VM, and write it as a stream to the caller's file descriptor.",
            body=exactly(),
            result=UUID_RESULT,
            long=True,
            mutates=True,
            descriptor=True,
        ),
        Route(
            method="POST",
            path="/vms",
            action="receive",
            handler=lambda request: receive.receive(request.fd, host),
            doc="Make a VM of the stream that the caller's file descriptor brings.",
            body=exactly(),
            result=UUID_RESULT,
            long=True,
            mutates=True,
            descriptor=True,
        ),
    ]
