"""The comparison as files: CSV, Markdown, LaTeX, Excel, HTML and JSON.

Numbers keep their full precision (in Excel its own 15 digits). Names are data: what would be a formula, markup or
a command in the file's reader is written so that it stays text, and line breaks and control characters become spaces.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcore.report.comparison import Row, documents, table
from kdcore.report.names import printable, unlinked
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the wide ones count in East Asian spreadsheets
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in r"\`*_[]<>|~&$"})
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Comparison</title>
<style>body {{ font-family: sans-serif }} td, th {{ padding: 0.2em 0.6em; text-align: left }}</style>
</head>
<body>
{table}
</body>
</html>
"""


class Format(NamedTuple):
    """How a format is called on a button, its file's suffix, and its media type."""

    label: str
    suffix: str
    mime: str


FORMATS = {
    "csv": Format("CSV", ".csv", "text/csv"),
    "csv-excel": Format("CSV for Excel", "-excel.csv", "text/csv"),
    "markdown": Format("Markdown", ".md", "text/markdown"),
    "latex": Format("LaTeX", ".tex", "application/x-tex"),
    "xlsx": Format("Excel", ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "html": Format("HTML", ".html", "text/html"),
    "json": Format("JSON", ".json", "application/json"),
}


def comparison_file(
    workspace: Workspace,
    run_ids: Iterable[str],
    format: str,
    *,
    baseline: Row | None = None,
    session: str | None = None,
) -> bytes:
    """The comparison of these runs as the content of a file, text in UTF-8. `baseline` goes into the JSON alone.

    Raises ValueError for an unknown format, UnknownRun, and LookupError for a session that is not there.
    """
    chosen = list(run_ids)
    if format == "json":
        found = documents(workspace, chosen, baseline, session)
        return json.dumps(found, indent=1, allow_nan=False).encode()
    return write(table(workspace, chosen, session), format)


def write(found: pd.DataFrame, format: str) -> bytes:
    """A table as the content of a file in one of the FORMATS but JSON. Raises ValueError for another."""
    if format not in _WRITERS:
        raise ValueError(f"there is no format {format!r}; there are: {', '.join(FORMATS)}")
    return _WRITERS[format](found)


def _csv(found: pd.DataFrame) -> bytes:
    return _text(found, _no_formula).to_csv(index=False, lineterminator="\n").encode()


def _csv_excel(found: pd.DataFrame) -> bytes:
    """With the mark by which Excel knows UTF-8; without it, it reads the bytes in the country's own alphabet."""
    return codecs.BOM_UTF8 + _csv(found)


def _markdown(found: pd.DataFrame) -> bytes:
    aligned = ["right" if number else "left" for number in _numeric(found)]
    cells = _text(found, in_markdown)
    return (cells.to_markdown(index=False, disable_numparse=True, colalign=aligned) + "\n").encode()


def in_markdown(name: str) -> str:
    """A name in one line of Markdown that shows it as it is."""
    return unlinked(printable(name).translate(_MARKDOWN))


def _latex(found: pd.DataFrame) -> bytes:
    aligned = "".join("r" if number else "l" for number in _numeric(found))
    return _text(found).to_latex(index=False, escape=True, column_format=aligned).encode()


def _html(found: pd.DataFrame) -> bytes:
    return _PAGE.format(table=_text(found).to_html(index=False, escape=True, border=0)).encode()


def _xlsx(found: pd.DataFrame) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="openpyxl") as book:
        found.map(_printable, na_action="ignore").to_excel(book, sheet_name="Comparison", index=False)
        for cells in book.sheets["Comparison"].iter_rows(min_row=2):
            for cell in cells:
                if cell.data_type == "f":  # openpyxl takes any text that begins with = for a formula
                    cell.data_type, cell.quotePrefix = "s", True
    return buffer.getvalue()


_WRITERS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": _csv,
    "csv-excel": _csv_excel,
    "markdown": _markdown,
    "latex": _latex,
    "xlsx": _xlsx,
    "html": _html,
}


def _text(found: pd.DataFrame, escape: Callable[[str], str] = str) -> pd.DataFrame:
    """Every cell as text: numbers in full, names printable and escaped, nothing where nothing was measured."""
    import pandas as pd

    def cell(value: Any) -> str:
        if pd.isna(value):
            return ""
        return escape(_printable(value)) if isinstance(value, str) else repr(getattr(value, "item", lambda: value)())

    return found.astype(object).map(cell)


def _numeric(found: pd.DataFrame) -> list[bool]:
    from pandas.api.types import is_numeric_dtype

    return [is_numeric_dtype(kind) for kind in found.dtypes]


def _printable(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _no_formula(name: str) -> str:
    """OWASP's defence: a leading apostrophe keeps a spreadsheet from calculating."""
    return f"'{name}" if name.startswith(_FORMULA) else name
