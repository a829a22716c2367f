"""JSON documents that are wrong in one place."""

from __future__ import annotations

import json
from typing import Any


def bent(document: Any, *path_and_value: Any) -> str:
    """The document with one place changed; KeyError: taken out. The path is of keys and indices."""
    *path, last, value = path_and_value
    made = place = json.loads(json.dumps(document))
    for key in path:
        place = place[key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return json.dumps(made)
