"""A handler for every resource type that the project's templates use, one module for each part of AWS."""

import importlib
import pkgutil


def load() -> None:
    """Import every module here: handlers register themselves."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
