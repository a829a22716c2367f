"""Who shares what with whom as a plain graph in DOT: for those who want to lay it out or edit it themselves."""
from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from . import style, words
from .dot import quoted
from .sharing import SharedFrame, Sharing, family_order
from .snapshot_json import Snapshot


def sharing_dot(title: str, snapshot: Snapshot, model: Sharing, slots: Collection[int],
                frames: Mapping[int, SharedFrame]) -> str:
    """Processes, frames between them, and the lines F and S, so that parents stand above their children."""
    drawn = set(slots)
    depths = Counter(p.depth for p in family_order(model, slots))
    rankdir = "LR" if max(depths.values(), default=0) > len(depths) else "TB"     # wide families stand better on end
    body = []
    for slot in sorted(slots):
        m = model.members[slot]
        lines = [words.name(m.process), words.role(snapshot, m, False), *(f"! {w}" for w in m.wrong)]
        body.append(f'{_process(slot)} [shape=box, style="rounded,filled", fillcolor="{style.PALE_PROCESS}", '
                    f'penwidth={2 if m.wrong else 1}, label={_label(lines)}];')
    for pa in sorted(frames):
        f = frames[pa]
        lines = [f"frame {pa:#x}", *(f"{letter} {what}" for letter, what in words.frame_words(model, f, drawn)),
                 *(f"{'!' if f.is_wrong else '?'} {w}" for w in f.odd)]
        body.append(f'{_frame(pa)} [shape=box, style="{"filled,dashed" if f.creator_gone else "filled"}", '
                    f'fillcolor="{style.PALE_FRAME}", penwidth={3 if f.is_wrong else 2}, label={_label(lines)}];')
    for slot in sorted(slots):
        for letter, ends in (("F", "{process} -> {frame}"), ("S", "{frame} -> {process}")):
            own = model.members[slot].page(letter)
            if own is not None and own.pa in frames:
                line = ends.format(process=_process(slot), frame=_frame(own.pa))
                settings = "" if letter == "F" else ", style=dashed, dir=back"
                body.append(f'{line} [label={quoted(letter)}, color="{style.LINE[letter]}"'
                            f'{settings}, tooltip={quoted(words.pte(own))}];')
    return "\n".join([
        "digraph sharing {",
        f'graph [rankdir={rankdir}, label={_label([title, words.stop_line(snapshot)])}, labelloc=t, fontname="{style.FONT}", '
        f"fontsize={style.FONT_PT}];",
        f'node [fontname="{style.FONT}", fontsize={style.FONT_PT}];',
        f'edge [fontname="{style.FONT}", fontsize={style.FONT_PT}];',
        *body, "}", ""])


def _process(slot: int) -> str:
    return quoted(f"process-{slot}")


def _frame(pa: int) -> str:
    return quoted(f"frame-{pa:#x}")


def _label(lines: list[str]) -> str:
    return '"' + "\\n".join(quoted(line)[1:-1] for line in lines) + '"'
