# SPDX-License-Identifier: MPL-2.0
"""The tables of `imgadm list` and `imgadm avail`: columns, filters, order. All pure."""

from hull.wire import Json, JsonObject

DOCKER_TAG = "docker:tag:"
DOCKER_COLUMNS = ["UUID", "REPOSITORY", "TAG", "IMAGE_ID", "CREATED"]

Filter = tuple[str, str, bool]  # field, value, whether a part of the value is enough


def row_of(entry: JsonObject) -> JsonObject:
    """The manifest's fields and the computed ones of one image, by column name."""
    manifest = entry.get("manifest")
    shown = dict(manifest) if isinstance(manifest, dict) else {}
    published = str(shown.get("published_at") or "")
    files = shown.get("files")
    first = files[0] if isinstance(files, list) and files else None
    date = published[:10] or None
    return (
        docker_fields(shown)
        | shown
        | {
            "published": published.partition(".")[0].rstrip("Z") + "Z" if published else None,
            "published_date": date,
            "pub": date,
            "size": first.get("size") if isinstance(first, dict) else None,
            "source": entry.get("source"),
            "clones": entry.get("clones"),
            "zpool": entry.get("zpool"),
        }
    )


def docker_fields(manifest: JsonObject) -> JsonObject:
    """What the tags of a registry's image say."""
    tags = manifest.get("tags")
    if manifest.get("type") != "docker" or not isinstance(tags, dict):
        return {}
    ident = str(tags.get("docker:id") or "")
    named: list[Json] = [tag.removeprefix(DOCKER_TAG) for tag in tags if tag.startswith(DOCKER_TAG)]
    return {
        "docker_id": ident or None,
        "docker_short_id": ident.removeprefix("sha256:")[:12] or None,
        "docker_repo": tags.get("docker:repo"),
        "docker_tags": named or None,
    }


def docker_rows(rows: list[JsonObject]) -> list[JsonObject]:
    """As `docker images`: a row for each tag of the images that no other is laid over."""
    origins = {row.get("origin") for row in rows}
    found: list[JsonObject] = []
    for row in rows:
        if row.get("uuid") in origins:
            continue
        tags = row.get("docker_tags")
        for tag in tags if isinstance(tags, list) and tags else [None]:
            found.append(
                {
                    "UUID": row.get("uuid"),
                    "REPOSITORY": row.get("docker_repo"),
                    "TAG": tag,
                    "IMAGE_ID": row.get("docker_short_id"),
                    "CREATED": row.get("published"),
                }
            )
    return found


def value_of(row: JsonObject, column: str) -> Json:
    """A column's value; `tags.role` looks into objects."""
    value: Json = row.get(column)
    if value is None and "." in column:
        value = row
        for key in column.split("."):
            value = value.get(key) if isinstance(value, dict) else None
    return value


def cell(value: Json) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(cell(item) for item in value)
    return str(value)


def parse_filters(words: list[str]) -> list[Filter]:
    """`f=v` and `f=~v`. Raises ValueError."""
    filters = []
    for word in words:
        field, equals, value = word.partition("=")
        if not equals or not field:
            raise ValueError(f'invalid filter: "{word}" (must be of the form "field=value")')
        partly = value.startswith("~")
        filters.append((field, value[1:] if partly else value, partly))
    return filters


def matching(row: JsonObject, filters: list[Filter]) -> bool:
    for field, wanted, partly in filters:
        value = value_of(row, field)
        have = "" if value is None else cell(value)
        if not (wanted in have if partly else wanted == have):
            return False
    return True


def sort_rows(
    rows: list[tuple[JsonObject, JsonObject]], fields: list[str]
) -> list[tuple[JsonObject, JsonObject]]:
    """By these fields, the first first; `-field` descending."""
    for field in reversed([field for field in fields if field]):
        name = field.removeprefix("-")
        rows = sorted(rows, key=lambda row: _rank(row[0], name), reverse=field.startswith("-"))
    return rows


def _rank(row: JsonObject, name: str) -> tuple[float, str]:
    value = value_of(row, name)
    if isinstance(value, int | float):
        return float(value), ""
    return 0.0, "" if value is None else cell(value)


def render(rows: list[JsonObject], columns: list[str], *, header: bool) -> list[str]:
    """Lines of text; none at all, no header either, without rows."""
    if not rows:
        return []
    cells = [[column.upper() for column in columns]] if header else []
    cells += [[cell(value_of(row, column)) for column in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    widths[-1] = 0
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        for line in cells
    ]
