"""Pictures of state machines, made from their definitions."""

from tests.rehearsal.diagram.drawing import Visit, svg
from tests.rehearsal.diagram.graph import outline

__all__ = ["Visit", "outline", "svg"]
