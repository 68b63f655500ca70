"""Has `make test-avx2`, and every process that its tests start, take the processor for one with AVX2 alone.

Python imports this file at its start, because the target puts its folder on PYTHONPATH. What the libraries use is said
to them by variables of their own; ONNX Runtime has none, so it goes on with all that the processor has.
"""

import sys
from importlib.machinery import PathFinder


class Machine:
    """Finds `kdcore.machine` and changes what it says of the processor."""

    @staticmethod
    def find_spec(name, path, target=None):
        if name != "kdcore.machine":
            return None
        spec = PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module

        def execute_and_change(module):
            execute(module)
            module.cpu_flags = lambda: frozenset({"avx2"})

        spec.loader.exec_module = execute_and_change
        return spec


sys.meta_path.insert(0, Machine)
