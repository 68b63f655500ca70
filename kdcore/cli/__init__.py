"""The command line: `python -m kdcore`."""
