"""SVG that stands alone, or in a page: titled and described for screen readers (SVG-AAM 1.0)."""
from __future__ import annotations

import xml.etree.ElementTree as ET

from . import scene_svg
from .dot import printable
from .drawing import Drawing


def standing_alone(root: ET.Element, drawing: Drawing) -> bytes:
    """The document whose root scene_svg or scene_dot made."""
    root.set("xmlns", "http://www.w3.org/2000/svg")
    title, description = ET.Element("title", id="title"), ET.Element("desc", id="description")
    title.text, description.text = printable(drawing.title), printable(drawing.description)
    root[:0] = [title, description]
    root.attrib.update({"role": "img", "aria-labelledby": "title description"})
    return ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def inlined(drawing: Drawing, prefix: str, label: str) -> ET.Element:
    """The drawing as a part of a page, in no XML namespace.

    Its ids begin with `prefix`; `label` is its name, the drawing's description its description.
    """
    root = scene_svg.write(drawing.scene)
    for element in root.iter():
        if element.get("id"):
            element.set("id", prefix + element.get("id"))
    description = ET.Element("desc", id=f"{prefix}description")
    description.text = printable(drawing.description)
    root.insert(0, description)
    root.attrib.update({"role": "img", "aria-label": label, "aria-describedby": description.get("id")})
    return root
