"""SVG that stands alone: titled, described, with fonts to fall back on."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from . import style
from .dot import printable, text
from .drawing import Drawing


def finish_dots(figure: str, drawing: Drawing) -> str:
    """dot's SVG made to stand alone.

    Blanks at the ends of a run of text kept, no document type to fetch, no colour that SVG 1.1 does not know, fonts to fall back on, a
    title and a description for screen readers, and each tooltip also as the <title> that
    browsers show.
    """
    figure = figure.replace("<svg ", '<svg xml:space="preserve" ', 1)
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


def inlined(drawing: Drawing, prefix: str, label: str) -> ET.Element:
    """The drawing's own SVG as a part of a page or of a larger figure, in no XML namespace.

    Its ids begin with `prefix`; `label` is its name, the drawing's description its description.
    """
    root = ET.fromstring(drawing.svg.encode("utf-8"))
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for key, value in element.attrib.items():
            element.set(key, prefix + value if key == "id" else value.replace("url(#", f"url(#{prefix}"))
    description = ET.Element("desc", id=f"{prefix}description")
    description.text = printable(drawing.description)
    root.insert(0, description)
    root.attrib.update({"role": "img", "aria-label": label, "aria-describedby": description.get("id")})
    return root
