"""SVG that stands alone: titled, described, with fonts to fall back on."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from . import style
from .dot import text
from .drawing import Drawing

_SVG = "http://www.w3.org/2000/svg"
_DOTS_GROUPS = ("graph", "node", "edge", "cluster")
_SAID_ONCE = {"font-family": [style.SVG_FONTS], "font-size": [f"{style.FONT_PT:.2f}"], "text-anchor": ["start"]}

def finish_dots(figure: str, drawing: Drawing) -> str:
    """dot's SVG made to stand alone.

    No document type to fetch, no colour that SVG 1.1 does not know, fonts to fall back on, a
    title and a description for screen readers, and each tooltip also as the <title> that
    browsers show.
    """
    figure = figure.replace('stroke="transparent"', 'stroke="none"')
    figure = re.sub(r"<!DOCTYPE[^>]*>\s*", "", figure)
    figure = figure.replace(f'font-family="{style.FONT}"', f'font-family="{style.SVG_FONTS}"')
    figure = re.sub(r'<a [^>]*xlink:title="([^"]*)"[^>]*>', r"\g<0><title>\1</title>", figure)
    return describe(figure, drawing)


def describe(figure: str, drawing: Drawing) -> str:
    """`figure` with the drawing's title and description in words, for screen readers (SVG-AAM 1.0)."""
    return re.sub(r"<svg ([^>]*)>",
                  lambda m: f'<svg role="img" aria-labelledby="title description" {m[1]}>\n'
                            f'<title id="title">{text(drawing.title)}</title>\n'
                            f'<desc id="description">{text(drawing.description)}</desc>',
                  figure, count=1)


def inlined(figure: str, prefix: str, label: str) -> ET.Element:
    """`figure`, finished, as a part of a page or of a larger figure, in no XML namespace.

    Its ids begin with `prefix`; `label` is its name. Links become groups, their tooltips stay: who
    reads it as one image must not meet links inside. The font is said once.
    """
    root = ET.fromstring(figure.encode("utf-8"))
    title, description = (root.find(f"{{{_SVG}}}{tag}") for tag in ("title", "desc"))
    root.remove(title)
    _tidy(root, prefix)
    for name in ("aria-labelledby", "id"):
        root.attrib.pop(name, None)
    root.attrib.update({"aria-label": label, "aria-describedby": description.get("id"),
                        "font-family": style.SVG_FONTS, "font-size": str(style.FONT_PT)})
    return root


def _tidy(element: ET.Element, prefix: str) -> None:
    element.tag = element.tag.rpartition("}")[2]
    element.tail = None
    if element.tag not in ("text", "title", "desc"):
        element.text = None
    for key, value in list(element.attrib.items()):
        if key in _SAID_ONCE and value in _SAID_ONCE[key]:
            del element.attrib[key]
    for child in list(element):
        if child.tag == f"{{{_SVG}}}title" and element.get("class") in _DOTS_GROUPS:
            element.remove(child)           # dot's name of it, not for people
        elif len(child) == 1 and child[0].tag == f"{{{_SVG}}}a":
            name = child.get("id").removeprefix("a_")
            child[0].tag = "g"
            child[0].attrib = {} if name == element.get("id") else {"id": name}
            element[list(element).index(child)] = child[0]
    for child in element:
        _tidy(child, prefix)
    if "id" in element.attrib:
        element.set("id", prefix + element.get("id"))


def as_text(root: ET.Element) -> str:
    """What `inlined` gave, as markup."""
    return ET.tostring(root, encoding="unicode")
