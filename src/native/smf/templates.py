# SPDX-License-Identifier: MPL-2.0
"""Templates, which say what a service and its properties are: <template> to groups and back.

    tm_common_name, tm_description      a property for each locale
    tm_man_TITLESECTION, tm_doc_NAME    title, section, manpath; name, uri
    tm_pgpatt_n_NAME (or t_TYPE, nt_NAME_TYPE)
                                        of type template_pg_pattern: name, type, required, target
    tm_proppatt_n_NAME_PROPERTY         of type template_prop_pattern: pg_pattern, the group above;
                                        name, type, required, visibility, cardinality_min and _max,
                                        internal_separators; values_name, constraint_name,
                                        constraint_range (MIN,MAX), choice_name, choice_range ...

What things are called for people is beside them: common_name_LOCALE, description_LOCALE,
units_LOCALE; for the Nth of values_name values_name_N_common_name_LOCALE, and so on.
"""

from smf.bundle import Entity
from smf.document import Element
from smf.fmri import MOST_NAME
from smf.shapes import Maker, single
from smf.tree import Group, Groups

TEMPLATE, PG_PATTERN, PROP_PATTERN = "template", "template_pg_pattern", "template_prop_pattern"
_NAMES = ("common_name", "description", "units")
_LISTS = (("values", "values"), ("constraints", "constraint"), ("choices", "choice"))


def safe(text: str) -> str:
    """Text as a part of a name of a group or property."""
    return "".join(
        each if each.isascii() and (each.isalnum() or each in "_-.") else "_" for each in text
    )


def _words(text: str) -> str:
    """Lines of a manifest are wrapped and indented: that is not part of what is said."""
    return " ".join(text.split())


def _element(tag: str, **attributes: str) -> Element:
    return Element(tag, attributes, "", 0)


# -- from elements to groups -----------------------------------------------------------------------
def read(element: Element, entity: Entity, maker: Maker) -> None:
    """Give an entity the groups of its <template>."""
    for child in element.all("common_name", "description"):
        group = Group(TEMPLATE)
        _locales(child, group, "", maker)
        maker.put(child, entity, f"tm_{child.tag}", group)
    for child in element.all("documentation"):
        for each in child.children:
            _document(each, entity, maker)
    for child in element.all("pg_pattern"):
        _pg_pattern(child, entity, maker)


def _locales(element: Element, group: Group, prefix: str, maker: Maker) -> None:
    for text in element.children:
        name = prefix + safe(text.attributes["xml:lang"])
        if maker.named(text, name):
            maker.add(text, group, name, maker.prop(text, "ustring", [_words(text.text)]))


def _names(element: Element, group: Group, prefix: str, maker: Maker) -> None:
    for child in element.all(*_NAMES):
        _locales(child, group, f"{prefix}{child.tag}_", maker)


def _document(element: Element, entity: Entity, maker: Maker) -> None:
    said = element.attributes
    props: tuple[str, ...]
    if element.tag == "manpage":
        name = f"tm_man_{safe(said['title'] + said['section'])}"
        props = _MANPAGE
    else:
        name = f"tm_doc_{safe(said['name'])}"
        props = _DOC_LINK
    found = {prop: maker.prop(element, "astring", [said[prop]]) for prop in props}
    maker.put(element, entity, name[:MOST_NAME], Group(TEMPLATE, found))


_MANPAGE = ("title", "section", "manpath")
_DOC_LINK = ("name", "uri")
_PATTERN = {"name": "astring", "type": "astring", "required": "boolean", "target": "astring"}


def _pg_pattern(element: Element, entity: Entity, maker: Maker) -> None:
    said = element.attributes
    which = ("n" if said["name"] else "") + ("t" if said["type"] else "")
    tag = "_".join(part for part in (which, said["name"], said["type"]) if part) or "all"
    pattern = f"tm_pgpatt_{safe(tag)}"
    group = Group(
        PG_PATTERN,
        {prop: maker.prop(element, kind, [said[prop]]) for prop, kind in _PATTERN.items()},
    )
    _names(element, group, "", maker)
    maker.put(element, entity, pattern, group)
    for child in element.all("prop_pattern"):
        name = f"tm_proppatt_{safe(tag)}_{safe(child.attributes['name'])}"
        maker.put(child, entity, name, _prop_pattern(child, pattern, maker))


def _prop_pattern(element: Element, pattern: str, maker: Maker) -> Group:
    said = element.attributes
    group = Group(PROP_PATTERN, {"pg_pattern": single("astring", pattern)})
    for prop in ("name", "type", "required"):
        if prop in said:
            group.properties[prop] = maker.prop(element, _PATTERN[prop], [said[prop]])
    _names(element, group, "", maker)
    for child in element.all("visibility"):
        group.properties["visibility"] = single("astring", child.attributes["value"])
    for child in element.all("cardinality"):
        for end in ("min", "max"):
            found = maker.prop(child, "count", [child.attributes[end]])
            group.properties[f"cardinality_{end}"] = found
    for child in element.all("internal_separators"):
        found = maker.prop(child, "astring", [child.text.strip()])
        group.properties[child.tag] = found
    for tag, prefix in _LISTS:
        for child in element.all(tag):
            _list(child, group, prefix, maker)
    return group


def _list(element: Element, group: Group, prefix: str, maker: Maker) -> None:
    for tag, kind in (("value", "name"), ("range", "range"), ("include_values", "include_values")):
        found = []
        for number, child in enumerate(element.all(tag)):
            said = child.attributes
            if tag == "range":
                found.append(f"{said['min']},{said['max']}")
            else:
                found.append(said["name" if tag == "value" else "type"])
            _names(child, group, f"{prefix}_{kind}_{number}_", maker)
        if found:
            group.properties[f"{prefix}_{kind}"] = maker.prop(element, "astring", found)


# -- from groups to elements -----------------------------------------------------------------------
def write(groups: Groups) -> tuple[Element | None, set[str]]:
    """(the <template>, the groups that are in it). Not all need be: the DTD wants a common name."""
    found = {name: group for name, group in groups.items() if name.startswith("tm_")}
    name = found.get("tm_common_name")
    if name is None or name.kind != TEMPLATE or not name.properties:
        return None, set()
    root = _element("template")
    used = set()
    for tag in ("common_name", "description"):
        if f"tm_{tag}" in found and found[f"tm_{tag}"].properties:
            root.children.append(_write_locales(tag, found[f"tm_{tag}"], ""))
            used.add(f"tm_{tag}")
    documentation = _element("documentation")
    for name_of, group in found.items():
        for prefix, tag, props in (
            ("tm_man_", "manpage", _MANPAGE),
            ("tm_doc_", "doc_link", _DOC_LINK),
        ):
            if name_of.startswith(prefix):
                attributes = {prop: group.value(prop) for prop in props}
                documentation.children.append(_element(tag, **attributes))
                used.add(name_of)
    if documentation.children:
        root.children.append(documentation)
    for pattern, group in found.items():
        if group.kind == PG_PATTERN:
            root.children.append(_write_pattern(pattern, found, used))
    return root, used


def _write_locales(tag: str, group: Group, prefix: str) -> Element:
    element = _element(tag)
    for locale in group.properties:
        if locale.startswith(prefix):
            text = Element("loctext", {"xml:lang": locale[len(prefix) :]}, "", 0)
            text.text = group.value(locale)
            element.children.append(text)
    return element


def _write_names(element: Element, group: Group, prefix: str) -> None:
    for tag in _NAMES:
        named = _write_locales(tag, group, f"{prefix}{tag}_")
        if named.children:
            element.children.append(named)


def _write_pattern(pattern: str, found: Groups, used: set[str]) -> Element:
    group = found[pattern]
    element = _element("pg_pattern", **{prop: group.value(prop) for prop in _PATTERN})
    used.add(pattern)
    _write_names(element, group, "")
    for name, each in found.items():
        if each.kind == PROP_PATTERN and each.value("pg_pattern") == pattern:
            element.children.append(_write_prop_pattern(each))
            used.add(name)
    return element


def _write_prop_pattern(group: Group) -> Element:
    props = [prop for prop in ("name", "type", "required") if prop in group.properties]
    element = _element("prop_pattern", **{prop: group.value(prop) for prop in props})
    _write_names(element, group, "")
    if "visibility" in group.properties:
        element.children.append(_element("visibility", value=group.value("visibility")))
    if "cardinality_min" in group.properties:
        ends = {end: group.value(f"cardinality_{end}") for end in ("min", "max")}
        element.children.append(_element("cardinality", **ends))
    if "internal_separators" in group.properties:
        separators = _element("internal_separators")
        separators.text = group.value("internal_separators")
        element.children.append(separators)
    for tag, prefix in _LISTS:
        listed = _element(tag)
        _write_list(listed, group, prefix)
        if listed.children:
            element.children.append(listed)
    return element


def _write_list(element: Element, group: Group, prefix: str) -> None:
    for number, name in enumerate(group.values(f"{prefix}_name")):
        child = _element("value", name=name)
        _write_names(child, group, f"{prefix}_name_{number}_")
        element.children.append(child)
    for number, ends in enumerate(group.values(f"{prefix}_range")):
        least, _, most = ends.partition(",")
        child = _element("range", min=least, max=most)
        _write_names(child, group, f"{prefix}_range_{number}_")
        element.children.append(child)
    for kind in group.values(f"{prefix}_include_values"):
        element.children.append(_element("include_values", type=kind))
