"""Compare: accuracy against cost, the table, differences to a baseline, verdicts, downloads. All of it in the URL."""

from __future__ import annotations

import streamlit as st

from kdcore.figures.points import Baseline
from kdcore.presets import first_chart
from kdcore.report import comparison
from pages.compare import differences, downloads, frontier, own, table, verdicts
from pages.shared import absent, links, store, text

runs = store.finished()

st.title("Compare", anchor=False)
if not runs:
    text.empty(
        "Nothing to compare yet",
        "Here you will see accuracy against size and latency for every variant of a finished run, with verdicts.",
        "Start an experiment",
        "home/page.py",
        ":material/compare_arrows:",
    )
    st.stop()


run_names = text.distinct_names(runs.values())
runs_column, baseline_column = st.columns([2, 1])
with runs_column:
    asked = st.query_params.get_all("runs") or st.query_params.get_all("run")
    absent.report(asked, runs)
    usual = [run_id for run_id in asked if run_id in runs] or [links.newest(runs)]
    chosen = links.many("Runs", list(runs), "runs", default=usual, format_func=run_names.__getitem__)
with store.legible():
    rows = store.rows(chosen)
names = {f"{row['run']}/{row['variant']}": row for row in rows}
with baseline_column:
    several = len(chosen) > 1
    picked = links.one(
        "Baseline", list(names), "baseline", default=next(iter(names)),
        format_func=lambda key: names[key]["variant"] + (f" · {run_names[names[key]['run']]}" if several else ""),
        help="Reference for size, speed and accuracy differences.",
    )  # fmt: skip
baseline = names[picked]
against = comparison.differences(store.workspace(), rows, baseline)

chosen_names = text.distinct_names([runs[run_id] for run_id in chosen])
leading: own.Figures = {}
others: own.Figures = {}
if len(chosen) == 1:
    leading, others = own.of_one_run(rows, chosen[0], first_chart(runs[chosen[0]].preset))
own.draw(leading)
frontier.show(rows, chosen_names, Baseline(baseline, against), others)
frontier.session_note(rows, chosen)
own.notes(rows)
st.header("Verdicts", anchor=False)
verdicts.show(chosen, chosen_names)
st.header("All numbers", anchor=False)
table.show(rows, against, baseline, chosen_names)
downloads.row(chosen, baseline)
if len(chosen) > 1:
    st.header("Differences between the runs", anchor=False)
    with store.legible():
        differences.show(chosen, chosen_names)
