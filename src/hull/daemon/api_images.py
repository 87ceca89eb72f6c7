# SPDX-License-Identifier: MPL-2.0
"""What hulld can be asked about images: the routes behind imgadm."""

from hull.daemon.route import Request, Route
from hull.host.host import Host
from hull.image import delete, import_, sources, view
from hull.wire import Json, JsonObject

TEXT: JsonObject = {"type": "string"}
OBJECT: JsonObject = {"type": "object"}
OBJECTS: JsonObject = {"type": "array", "items": OBJECT}


def _body(required: list[Json], **properties: JsonObject) -> JsonObject:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def image_routes(host: Host) -> list[Route]:
    """Installed images, those that sources offer, and the sources."""
    return [*_installed(host), *_available(host), *_sources(host)]


def _installed(host: Host) -> list[Route]:
    def add(request: Request) -> Json:
        uuid, source = str(request.body["uuid"]), str(request.body.get("source") or "")
        return import_.import_image(host.pool, host.paths, uuid, source, progress=request.progress)

    def install(request: Request) -> Json:
        return import_.install_image(
            host.pool,
            host.paths,
            request.body["manifest"],
            str(request.body["file"]),
            progress=request.progress,
        )

    return [
        Route(
            method="GET",
            path="/images",
            handler=lambda _: list(view.list_images(host.pool, host.paths)),
            doc="The images that are installed.",
            result=OBJECTS,
        ),
        Route(
            method="POST",
            path="/images",
            action="import",
            handler=add,
            doc="Fetch an image from a source and install it.",
            body=_body(["uuid"], uuid=TEXT, source=TEXT),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path="/images",
            action="install",
            handler=install,
            doc="Install an image from a manifest and a file of this host.",
            body=_body(["manifest", "file"], manifest=OBJECT, file=TEXT),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
    ]


def _available(host: Host) -> list[Route]:
    # Literal paths come before `/images/{uuid}`: the first row that fits is taken.
    return [
        Route(
            method="GET",
            path="/images/available",
            handler=lambda _: list(view.available_images(host.paths)),
            doc="The images that the sources offer.",
            result=OBJECTS,
            long=True,
        ),
        Route(
            method="GET",
            path="/images/available/{uuid}",
            handler=lambda request: view.available_image(host.paths, request.params["uuid"]),
            doc="One image that a source offers.",
            result=OBJECT,
            long=True,
        ),
        Route(
            method="GET",
            path="/images/{uuid}",
            handler=lambda request: view.get_image(host.pool, host.paths, request.params["uuid"]),
            doc="One installed image.",
            result=OBJECT,
        ),
        Route(
            method="DELETE",
            path="/images/{uuid}",
            handler=lambda request: delete.delete_image(
                host.pool, host.paths, request.params["uuid"]
            ),
            doc="Remove an installed image that nothing was made from.",
            result=OBJECT,
            mutates=True,
        ),
    ]


def _sources(host: Host) -> list[Route]:
    def add(request: Request) -> Json:
        body = request.body
        return sources.add_source(
            host.paths,
            str(body["url"]),
            str(body.get("type") or "imgapi"),
            insecure=body.get("insecure") is True,
            force=body.get("force") is True,
        )

    flag: JsonObject = {"type": "boolean"}
    return [
        Route(
            method="GET",
            path="/sources",
            handler=lambda _: sources.list_sources(host.paths),
            doc="Where images are looked for, in order.",
            result=OBJECTS,
        ),
        Route(
            method="POST",
            path="/sources",
            handler=add,
            doc="Add an image source, once it answers.",
            body=_body(["url"], url=TEXT, type=TEXT, insecure=flag, force=flag),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="DELETE",
            path="/sources",
            handler=lambda request: sources.delete_source(host.paths, request.query.get("url", "")),
            doc="Forget an image source.",
            query={"url": "the source's URL"},
            result=OBJECT,
            mutates=True,
        ),
    ]
