"""The rehearsal. Its page is that of an execution's report, which the layer has (benchwright/report)."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "layers/benchwright"))
