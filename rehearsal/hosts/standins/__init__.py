"""Commands of a node that a rehearsal cannot or must not run for real.

They run inside the hosts of the rehearsal, by the interpreter of the virtual environment but without its site-packages
at start, and import one another relatively: inside a host this package is called `standins`. A script of a node runs
dozens of them, so what is slow to import is imported where it is used.
"""
