"""Records real rehearsals for README.md: `make docs-recording` writes docs/rehearsal.svg and the failure again.

The picture is of a rehearsal in a pseudo-terminal, of which a terminal emulator keeps what a person sees at the end.
The failure is the cause of an execution that a fault of the rehearsal made fail.
"""

from __future__ import annotations

import fcntl
import io
import itertools
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.documentation.pages import ROOT

PICTURE = ROOT / "docs" / "rehearsal.svg"
FAILURE = Path(__file__).parent / "failure.txt"
FAULT = "stack:resource=FileSystem,reason=You have reached the maximum number of file systems for this account."
COLUMNS, LINES = 112, 200
# Rich would load a font from the network; its picture gives every text its length, so any monospaced font fits.
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
FONT = re.compile(r"font-family: [^;]+;")
FONTS = "font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;"


def main() -> int:
    screen, code = run([sys.executable, "-m", "rehearsal"])
    if code != 0:
        print("\n".join(line.plain for line in lines_of(screen)), file=sys.stderr)
        return code
    PICTURE.write_text(picture([Text("$ make rehearse", style="bold"), *shortened(lines_of(screen))]), encoding="utf-8")
    with tempfile.TemporaryDirectory() as directory:
        run([sys.executable, "-m", "rehearsal", "--fault", FAULT, "--report", directory])
        report = json.loads((Path(directory) / "report.json").read_text(encoding="utf-8"))
    FAILURE.write_text(report["executions"][0]["cause"] + "\n", encoding="utf-8")
    return 0


def run(command: list[str]) -> tuple[pyte.Screen, int]:
    """Run a command in a terminal of COLUMNS x LINES; return what its screen shows at the end, and the exit code."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other side of a pseudo-terminal is closed
            break
        if not data:
            break
        stream.feed(data)
    os.close(ours)
    return screen, process.wait(timeout=60)


def lines_of(screen: pyte.Screen) -> list[Text]:
    """The lines of a screen with their colours, without the empty ones at its end."""
    found = []
    for row in range(screen.lines):
        line = Text()
        cells = [screen.buffer[row][column] for column in range(screen.columns)]
        for (name, bold), alike in itertools.groupby(cells, key=lambda cell: (cell.fg, cell.bold)):
            line.append("".join(cell.data for cell in alike), Style(color=colour(name), bold=bold))
        line.rstrip()
        found.append(line)
    while found and not found[-1].plain:
        found.pop()
    return found


def colour(name: str) -> str | None:
    """Rich's name of a terminal's colour."""
    if name == "default":
        return None
    return f"#{name}" if re.fullmatch(r"[0-9a-f]{6}", name) else {"brown": "yellow"}.get(name, name)


def shortened(lines: list[Text]) -> list[Text]:
    """Leave out the second way to connect, with an ellipsis in its place, and where this checkout happens to lie."""
    plain = [line.plain for line in lines]
    first = next(number for number, text in enumerate(plain) if text.startswith("    or, with this in ~/.ssh/config"))
    last = plain.index("", first)
    kept = [*lines[:first], Text("    …"), *lines[last:]]
    return [Text(line.plain.replace(f"{ROOT}/", "")) if str(ROOT) in line.plain else line for line in kept]


def picture(shown: list[Text]) -> str:
    """The SVG of a terminal window that shows the lines."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in shown:
        console.print(line, no_wrap=True, overflow="ignore", crop=False)
    svg = console.export_svg(title="make rehearse", unique_id="rehearsal")
    svg = FONT.sub(FONTS, FONT_FACE.sub("", svg))
    return "\n".join(line.rstrip() for line in svg.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    sys.exit(main())
