# SPDX-License-Identifier: MPL-2.0
"""What hulld can be asked about images: the routes behind imgadm."""

from pathlib import Path

from hull.daemon.route import Request, Route
from hull.daemon.schemas import OBJECT, OBJECTS, TEXT, TEXTS, YES_NO, at_most
from hull.errors import NotFound, Refused
from hull.host.host import Host
from hull.image import delete, import_, publish, sources, store, update, view
from hull.image.create import Wanted
from hull.vm.image import create_image
from hull.wire import Json, JsonObject

POOL = {"pool": "the zpool; there is only one"}


def text_of(request: Request, key: str, default: str = "") -> str:
    return str(request.body.get(key) or default)


def texts_of(request: Request, key: str) -> list[str]:
    found = request.body.get(key)
    return [str(item) for item in found] if isinstance(found, list) else []


def object_of(request: Request, key: str) -> JsonObject:
    found = request.body.get(key)
    return found if isinstance(found, dict) else {}


def image_routes(host: Host) -> list[Route]:
    """Installed images, those that sources offer, and the sources."""
    # Literal paths come before `/images/{uuid}`: the first row that fits is taken.
    return [
        *_coming(host),
        *_making(host),
        *_available(host),
        *_keeping(host),
        *_installed(host),
        *_sources(host),
    ]


def _uuid(request: Request, host: Host) -> str:
    """The image of a request, on a pool that is there. Raises ImageNotInstalled."""
    uuid, pool = request.params["uuid"], request.query.get("pool") or host.pool.name
    if pool != host.pool.name:
        raise store.not_installed(uuid, pool)
    return uuid


def _target(request: Request, host: Host) -> import_.Target:
    pool = text_of(request, "pool", host.pool.name)
    if pool != host.pool.name:
        raise NotFound(f'zpool "{pool}" does not exist', hint=f'there is "{host.pool.name}"')
    return import_.Target(pool=host.pool, paths=host.paths, platform=host.platform)


def _import(request: Request, host: Host) -> Json:
    return import_.import_image(
        _target(request, host),
        str(request.body["name"]),
        text_of(request, "source"),
        text_of(request, "channel"),
        progress=request.progress,
    )


def _install(request: Request, host: Host) -> Json:
    file, manifest = str(request.body["file"]), request.body["manifest"]
    target = _target(request, host)
    return import_.install_image(target, manifest, file, progress=request.progress)


def _reinstall(request: Request, host: Host) -> Json:
    uuid = str(request.body["uuid"])
    return import_.reinstall_image(_target(request, host), uuid, progress=request.progress)


def _coming(host: Host) -> list[Route]:
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
            handler=lambda request: _import(request, host),
            doc="Fetch an image, and what it is laid over, from a source and install it.",
            body=at_most(["name"], name=TEXT, source=TEXT, channel=TEXT, pool=TEXT),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path="/images",
            action="install",
            handler=lambda request: _install(request, host),
            doc="Install an image from a manifest and a file of this host.",
            body=at_most(["manifest", "file"], manifest=OBJECT, file=TEXT, pool=TEXT),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path="/images",
            action="reinstall",
            handler=lambda request: _reinstall(request, host),
            doc="Make an installed image, of which nothing was made, anew from its source.",
            body=at_most(["uuid"], uuid=TEXT, pool=TEXT),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
    ]


def _create(request: Request, host: Host) -> Json:
    depth = request.body.get("max_origin_depth")
    output = text_of(request, "output")
    if output and not Path(output).is_absolute():
        raise Refused(f"{output} is not an absolute path")
    wanted = Wanted(
        vm=str(request.body["vm"]),
        manifest=object_of(request, "manifest"),
        output=Path(output) if output else host.paths.var / "tmp",
        compression=text_of(request, "compression", "none"),
        incremental=request.body.get("incremental") is True,
        max_origin_depth=depth if isinstance(depth, int) else 0,
    )
    script, url = text_of(request, "script"), text_of(request, "publish")
    return create_image(wanted, host, request.progress, script=script, publish=url)


def _publish(request: Request, host: Host) -> Json:
    return publish.publish_image(
        host.paths,
        request.body["manifest"],
        str(request.body["file"]),
        str(request.body["url"]),
        insecure=request.body.get("insecure") is True,
        progress=request.progress,
    )


CREATE = at_most(
    ["vm", "manifest"],
    vm=TEXT,
    manifest=OBJECT,
    output=TEXT,
    compression=TEXT,
    incremental=YES_NO,
    max_origin_depth={"type": "integer", "minimum": 1},
    script=TEXT,
    publish=TEXT,
)


def _making(host: Host) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/images",
            action="create",
            handler=lambda request: _create(request, host),
            doc="Make an image file and its manifest of a VM.",
            body=CREATE,
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="POST",
            path="/images",
            action="publish",
            handler=lambda request: _publish(request, host),
            doc="Send a manifest and a file of this host to an image server.",
            body=at_most(
                ["manifest", "file", "url"], manifest=OBJECT, file=TEXT, url=TEXT, insecure=YES_NO
            ),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
    ]


def _available(host: Host) -> list[Route]:
    return [
        Route(
            method="GET",
            path="/images/available",
            handler=lambda request: view.available_images(
                host.paths, request.query.get("channel", "")
            ),
            doc="The images that the sources offer, and which sources fail.",
            query={"channel": "instead of the sources' own"},
            result=OBJECT,
            long=True,
        ),
        Route(
            method="GET",
            path="/images/available/one",
            handler=lambda request: view.available_image(host.paths, request.query.get("name", "")),
            doc="One image that a source offers.",
            query={"name": "UUID, NAME, NAME@VERSION or REPO:TAG"},
            result=OBJECT,
            long=True,
        ),
        Route(
            method="GET",
            path="/images/channels",
            handler=lambda _: list(view.channels(host.paths)),
            doc="The channels of the sources.",
            result=OBJECTS,
            long=True,
        ),
    ]


def _keeping(host: Host) -> list[Route]:
    return [
        Route(
            method="POST",
            path="/images",
            action="update",
            handler=lambda request: update.update_images(
                host.pool,
                host.paths,
                texts_of(request, "uuids"),
                dry_run=request.body.get("dry_run") is True,
                progress=request.progress,
            ),
            doc="Take over what the sources say of installed images by now.",
            body=at_most([], uuids=TEXTS, dry_run=YES_NO),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="GET",
            path="/images/unused",
            handler=lambda _: list(delete.list_unused(host.pool, host.paths)),
            doc="The images that nothing depends on, in the order in which they can be deleted.",
            result=OBJECTS,
        ),
        Route(
            method="POST",
            path="/images",
            action="vacuum",
            handler=lambda request: delete.vacuum(
                host.pool, host.paths, texts_of(request, "uuids"), request.progress
            ),
            doc="Delete images that are unused, in this order.",
            body=at_most(["uuids"], uuids=TEXTS),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
    ]


def _installed(host: Host) -> list[Route]:
    return [
        Route(
            method="GET",
            path="/images/{uuid}",
            handler=lambda request: view.get_image(host.pool, host.paths, _uuid(request, host)),
            doc="One installed image.",
            query=POOL,
            result=OBJECT,
        ),
        Route(
            method="GET",
            path="/images/{uuid}/ancestry",
            handler=lambda request: list(
                view.ancestry(host.pool, host.paths, _uuid(request, host))
            ),
            doc="An installed image, then what it was laid over.",
            query=POOL,
            result=OBJECTS,
        ),
        Route(
            method="DELETE",
            path="/images/{uuid}",
            handler=lambda request: delete.delete_image(
                host.pool, host.paths, _uuid(request, host)
            ),
            doc="Remove an installed image that nothing was made from.",
            query=POOL,
            result=OBJECT,
            mutates=True,
        ),
    ]


def _add_source(request: Request, host: Host) -> Json:
    body = request.body
    return sources.add_source(
        host.paths,
        str(body["url"]),
        text_of(request, "type", "imgapi"),
        insecure=body.get("insecure") is True,
        force=body.get("force") is True,
    )


def _replace_sources(request: Request, host: Host) -> Json:
    listed = request.body["sources"]
    wanted = [item for item in listed if isinstance(item, dict)] if listed else []  # type: ignore[union-attr]  # the schema says: a list
    force = request.body.get("force") is True
    return sources.replace_sources(host.paths, wanted, force=force)


def _sources(host: Host) -> list[Route]:
    return [
        Route(
            method="GET",
            path="/sources",
            handler=lambda _: sources.list_sources(host.paths),
            doc="Where images are looked for, in order.",
            result=OBJECTS,
        ),
        Route(
            method="GET",
            path="/sources/check",
            handler=lambda _: list(view.check_sources(host.paths)),
            doc="Which of the sources answer.",
            result=OBJECTS,
            long=True,
        ),
        Route(
            method="POST",
            path="/sources",
            handler=lambda request: _add_source(request, host),
            doc="Add an image source, once it answers.",
            body=at_most(["url"], url=TEXT, type=TEXT, insecure=YES_NO, force=YES_NO),
            result=OBJECT,
            long=True,
            mutates=True,
        ),
        Route(
            method="PUT",
            path="/sources",
            handler=lambda request: _replace_sources(request, host),
            doc="Have these image sources, in this order; new ones must answer.",
            body=at_most(["sources"], sources=OBJECTS, force=YES_NO),
            result=OBJECTS,
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
