import rehearsal  # noqa: F401  # it makes the layer importable, for programs that are started as `python -m`
