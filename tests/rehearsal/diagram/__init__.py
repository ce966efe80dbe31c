"""Pictures of state machines, made from their definitions."""

from tests.rehearsal.diagram.drawing import Visit, svg

__all__ = ["Visit", "svg"]
