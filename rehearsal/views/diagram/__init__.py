"""Pictures of state machines, made from their definitions."""

from rehearsal.views.diagram.drawing import Visit, svg
from rehearsal.views.diagram.graph import outline

__all__ = ["Visit", "outline", "svg"]
