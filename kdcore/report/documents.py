"""The comparison as files: CSV, Markdown, LaTeX, Excel, HTML and JSON.

Numbers keep their full precision in CSV, Excel (its own 15 digits) and JSON; Markdown, LaTeX and HTML are to be read
and rounded as on the page Compare. Names are data: what would be a formula, markup or a command in the file's reader is
written so that it stays text, and line breaks and control characters become spaces.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kdcore.report import columns as known
from kdcore.report.comparison import Row, documents, rows, table
from kdcore.report.names import printable, unlinked
from kdcore.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the wide ones count in East Asian spreadsheets
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in r"\`*_[]<>|~&$"})
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Comparison</title>
<style>body {{ font-family: sans-serif }} td, th {{ padding: 0.2em 0.6em; text-align: left }}
{right} {{ text-align: right }}</style>
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


ROUNDED = ("markdown", "latex", "html")


def comparison_file(
    workspace: Workspace,
    run_ids: Iterable[str],
    format: str,
    *,
    baseline: Row | None = None,
    session: str | None = None,
    columns: Sequence[str] | None = None,
) -> bytes:
    """The comparison of these runs as the content of a file, text in UTF-8.

    `baseline` goes into the JSON, and is what rounded tables are relative to. `columns`: names from
    `kdcore.report.columns`, by default the page's; for CSV and Excel from COLUMNS, by default all. JSON has all.
    Raises ValueError for an unknown format or column, UnknownRun, and LookupError for a session that is not there.
    """
    chosen = list(run_ids)
    if format == "json":
        found = documents(workspace, chosen, baseline, session)
        return json.dumps(found, indent=1, allow_nan=False).encode()
    if format in ROUNDED:
        rounded = known.rounded(workspace, rows(workspace, chosen, session), baseline, columns)
        return write(rounded.table, format, rounded.numbers)
    if wrong := known.unknown(columns or (), exact=True):
        raise ValueError(wrong)
    whole = table(workspace, chosen, session)
    return write(whole[list(dict.fromkeys(columns))] if columns else whole, format)


def write(found: pd.DataFrame, format: str, numbers: Collection[str] = ()) -> bytes:
    """A table as the content of a file in one of the FORMATS but JSON. `numbers`: columns of text that are aligned as
    numbers are. Raises ValueError for another format.
    """
    if format not in _WRITERS:
        raise ValueError(f"unknown format {format!r}; choose from: {', '.join(FORMATS)}")
    return _WRITERS[format](found, numbers)


def _csv(found: pd.DataFrame, _numbers: Collection[str]) -> bytes:
    return _text(found, _no_formula).to_csv(index=False, lineterminator="\n").encode()


def _csv_excel(found: pd.DataFrame, numbers: Collection[str]) -> bytes:
    """With the mark by which Excel knows UTF-8; without it, it reads the bytes in the country's own alphabet."""
    return codecs.BOM_UTF8 + _csv(found, numbers)


def _markdown(found: pd.DataFrame, numbers: Collection[str]) -> bytes:
    aligned = ["right" if number else "left" for number in _numeric(found, numbers)]
    cells = _text(found, in_markdown)
    return (cells.to_markdown(index=False, disable_numparse=True, colalign=aligned) + "\n").encode()


def in_markdown(name: str) -> str:
    """A name in one line of Markdown that shows it as it is."""
    return unlinked(printable(name).translate(_MARKDOWN))


def _latex(found: pd.DataFrame, numbers: Collection[str]) -> bytes:
    aligned = "".join("r" if number else "l" for number in _numeric(found, numbers))
    return _text(found).to_latex(index=False, escape=True, column_format=aligned).encode()


def _html(found: pd.DataFrame, numbers: Collection[str]) -> bytes:
    places = [place for place, number in enumerate(_numeric(found, numbers), start=1) if number]
    right = ", ".join(f":is(td, th):nth-child({place})" for place in places) or "td.number"
    return _PAGE.format(table=_text(found).to_html(index=False, escape=True, border=0), right=right).encode()


def _xlsx(found: pd.DataFrame, _numbers: Collection[str]) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer, engine="openpyxl") as book:
        found.map(_printable, na_action="ignore").to_excel(book, sheet_name="Comparison", index=False)
        sheet = book.sheets["Comparison"]
        sheet.freeze_panes = "A2"
        for name, column in zip(found.columns, sheet.iter_cols(min_row=2), strict=True):
            shown = known.KNOWN[name].kind.excel if name in known.KNOWN else None
            for cell in column:
                if cell.data_type == "f":  # openpyxl takes any text that begins with = for a formula
                    cell.data_type, cell.quotePrefix = "s", True
                elif shown and cell.data_type == "n":
                    cell.number_format = shown
            sheet.column_dimensions[column[0].column_letter].width = max(12, len(str(name)) + 3)
    return buffer.getvalue()


_WRITERS: dict[str, Callable[[pd.DataFrame, Collection[str]], bytes]] = {
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


def _numeric(found: pd.DataFrame, numbers: Collection[str]) -> list[bool]:
    from pandas.api.types import is_numeric_dtype

    return [name in numbers or is_numeric_dtype(kind) for name, kind in found.dtypes.items()]


def _printable(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _no_formula(name: str) -> str:
    """OWASP's defence: a leading apostrophe keeps a spreadsheet from calculating."""
    return f"'{name}" if name.startswith(_FORMULA) else name
