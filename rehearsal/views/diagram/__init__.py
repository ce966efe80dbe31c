"""Pictures of state machines, made from their definitions."""

from rehearsal.views.diagram.drawing import Visit, svg
from rehearsal.views.diagram.graph import branches_of, outline

__all__ = ["Visit", "branches_of", "outline", "svg"]
