"""`python -m tests.documentation`: write the generated parts of README.md and docs/ again."""

import sys

from tests.documentation.generated import contents
from tests.documentation.pages import ROOT


def main() -> int:
    for path, content in contents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
