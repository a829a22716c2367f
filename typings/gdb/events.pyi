"""23.3.2.18 Events In Python."""

from collections.abc import Callable
from typing import Any

class EventRegistry:
    def connect(self, object: Callable[[Any], object]) -> None: ...
    def disconnect(self, object: Callable[[Any], object]) -> None: ...

class PromptRegistry:
    """Its events have no argument."""
    def connect(self, object: Callable[[], object]) -> None: ...
    def disconnect(self, object: Callable[[], object]) -> None: ...

stop: EventRegistry
cont: EventRegistry
exited: EventRegistry
new_objfile: EventRegistry
clear_objfiles: EventRegistry
memory_changed: EventRegistry
register_changed: EventRegistry
inferior_deleted: EventRegistry
before_prompt: PromptRegistry
