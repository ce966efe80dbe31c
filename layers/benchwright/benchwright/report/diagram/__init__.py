"""Pictures of state machines, made from their definitions."""

from benchwright.report.diagram.drawing import Visit, svg
from benchwright.report.diagram.graph import branches_of, outline

__all__ = ["Visit", "branches_of", "outline", "svg"]
