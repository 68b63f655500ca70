"""What came of a search: winner beside control, which settings mattered, what each layer got; the Recipe to take."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from kdcore.data import upload
from kdcore.figures.search import importances
from kdcore.figures.settings import parallel
from kdcore.problems import RecipeError
from kdcore.recipe import parse
from kdcore.report import format
from kdcore.report.quality import Quality
from kdcore.search.wording import differing, words
from kdcore.workspace import access
from kdcore.workspace.index import RunRow
from kdcore.workspace.shapes import SearchFound
from pages.search.progress import PER_EXAMPLE
from pages.shared import charts, draft, people, store
from pages.shared.text import plain

LEAST = 3  # candidates, for lines beside each other to say something


def show(row: RunRow, found: SearchFound) -> None:
    final = found.get("final")
    if final:
        st.header("Outcome", anchor=False)
        chosen = final["winner"] or final["nearest"]
        said = plain(final["words"])
        st.success(f"Best within the limits: {said}") if final["winner"] else st.warning(said)
        if chosen:
            _compared(final, chosen)
            _take(row, chosen)
    elif found["trials"]:
        st.info(f"Still searching. So far, on validation examples: {plain(found['words'])}")
    if row.state == "done":
        st.button(
            "More candidates", key="search_on", icon=":material/add:", on_click=store.ask, args=(row.id, "run"),
            **people.unless(
                access.to_change(row.owner),
                help="Tries the same number of new candidates, then uses the test examples once more.",
            ),
        )  # fmt: skip
    _understand(found)
    if final and chosen and chosen.get("layers"):
        _layers(chosen["layers"])


def _compared(final: Any, chosen: Any) -> None:
    """Winner, control and reference on the test images."""
    columns = {
        "Winner" if final["winner"] else "Nearest": chosen,
        "Control (uniform)": final["control"],
        "Reference": final.get("reference"),
    }
    facts = {name: _facts(one) for name, one in columns.items() if one}
    st.table(pd.DataFrame(facts), border="horizontal")
    images = chosen.get("test_images") or 0
    effort = format.plural(final.get("control_trials", 0), "uniform chain")
    st.caption(
        f"The control is the best of {effort}: one method, the same for all layers, no larger than the winner. Test "
        f"accuracy is on {images:,} held-out examples, used {_times(final['looks'])} and never to choose a candidate."
    )
    _settings({name: one for name, one in columns.items() if one and "settings" in one})
    if verdict := final.get("verdict"):
        st.markdown(f"**{plain(verdict['words'])}.**")
    elif final["control"] and final["control"].get("key") == chosen.get("key"):
        st.markdown("The winner is the uniform chain: the search found nothing better.")


def _times(count: int) -> str:
    return "once" if count == 1 else format.plural(count, "time")


def _settings(candidates: dict[str, Any]) -> None:
    """The options in which winner and control differ, beside their labels."""
    found = differing(list(candidates.values()))
    if found:
        with st.expander("Other options in which they differ", icon=":material/tune:"):
            values = {name: [plain(value or format.MISSING) for value in row] for name, row in found.items()}
            st.table(pd.DataFrame.from_dict(values, orient="index", columns=list(candidates)), border="horizontal")


def _facts(one: Any) -> dict[str, str]:
    faster = one.get("ratio")
    return {
        "Candidate": plain(one.get("label") or one.get("name", "")),
        "Test accuracy": format.percent(one.get("test_accuracy")),
        "Validation accuracy": format.percent(one.get("accuracy")),
        "Size": format.size(one.get("size_bytes")),
        "Latency, batch 1": format.milliseconds(one.get("latency_ms")),
        PER_EXAMPLE: format.milliseconds(one.get("batch_ms")),
        "Speed-up": format.times(faster) if faster else format.MISSING,
        "MACs": format.count(one.get("macs")),
    }


def _take(row: RunRow, chosen: Any) -> None:
    """The winning Recipe, as a file or in the form."""
    with st.container(horizontal=True):
        if st.button(
            "Train it in full", key="take_recipe", type="primary", icon=":material/edit:",
            help="Opens the form with the winning recipe and all its seeds and controls.",
        ):  # fmt: skip
            try:
                draft.load(parse(chosen["recipe"]), f"{row.name.removeprefix('Search: ')[:100]} (found)")
            except RecipeError as error:
                st.error(plain(str(error)))
            else:
                st.switch_page("new/page.py")
        st.download_button(
            "Recipe (.json)", json.dumps(chosen["recipe"], indent=2, ensure_ascii=False), mime="application/json",
            file_name=upload.clean(f"{row.name}.json".replace("/", "_")), key="take_json", icon=":material/download:",
            on_click="ignore",
        )  # fmt: skip


def _understand(found: SearchFound) -> None:
    trained = [trial for trial in found["trials"] if trial["state"] == "trained"]
    if len(trained) < LEAST:
        return
    st.header("What mattered", anchor=False)
    if found["importances"]:
        charts.show(
            importances(found["importances"]), key="importances",
            note="By Optuna (PED-ANOVA): how far the good candidates differ from all in each setting; partly chance.",
        )  # fmt: skip
    else:
        st.caption("The ranking of settings appears after eight trained candidates.")
    charts.show(parallel(_lines(trained)), key="parallel", note="A line for each trained candidate.")


def _lines(trained: list[Any]) -> list[dict[str, Any]]:
    """The candidates with the settings that all of them have and in which they differ."""
    common = [name for name in trained[0]["settings"] if all(name in one["settings"] for one in trained)]
    varied = [name for name in common if len({str(one["settings"][name]) for one in trained}) > 1]
    return [
        {
            "values": {words(name): _said(one["settings"][name]) for name in varied},
            "quality": Quality("validation accuracy", one["accuracy"]),
            "size_bytes": one["size_bytes"],
            "latency_ms": one.get("latency_ms"),
        }
        for one in trained
    ]


def _said(value: Any) -> Any:
    return ("yes" if value else "no") if isinstance(value, bool) else value


def _layers(layers: list[Any]) -> None:
    """What each layer of the chosen model got."""
    with st.expander("Settings by layer", icon=":material/layers:"):
        table = [
            {
                "Layer": layer.get("name"),
                "Shape": "×".join(map(str, layer.get("shape", ()))),
                "Weights": format.count(layer.get("weights")),
                "Bits": layer.get("bits"),
                "Zeros": format.percent(layer.get("sparsity")),
                "MACs": format.count(layer.get("macs")),
            }
            for layer in layers
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True)
