"""Lines and documents on the terminal, free of what names of other people could do to it; tables: `console`."""

from __future__ import annotations

import sys
from typing import Any

from kdcore.report import names


def line(text: object) -> None:
    """A line of the result."""
    print(names.printable(str(text)))


def complain(text: object) -> None:
    """A line beside the result: what is wrong, or worth knowing."""
    print(names.printable(str(text)), file=sys.stderr)


def document(value: Any) -> None:
    """A JSON document."""
    print(names.document(value))
