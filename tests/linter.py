"""A linter of the templates in half its time: `python -P tests/linter.py .venv/bin/cfn-lint template.yaml`.

It checks the same. Only garbage is not collected, which one run can keep, and checkov's parser gets its tables once,
not for each of 140 expressions.
"""

import contextlib
import gc
import runpy
import sys
from typing import Any

gc.disable()
with contextlib.suppress(ModuleNotFoundError):  # only checkov's virtualenv has it
    import ply.yacc

    parsers: dict[type, Any] = {}

    def parser(*, module: object, make: Any = ply.yacc.yacc, **options: Any) -> Any:
        """The parser of a grammar, which checkov makes of a new object of the same class for each expression."""
        if type(module) not in parsers:
            parsers[type(module)] = make(module=module, **options)
        return parsers[type(module)]

    ply.yacc.yacc = parser

del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
