"""`make watch`. The page of an execution and this terminal read histories by the same module of the layer."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "layers/benchwright"))
