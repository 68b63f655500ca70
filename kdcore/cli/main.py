"""The command line: `python -m kdcore`. Everything that the dashboard does, without a browser."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence

from kdcore.cli import output
from kdcore.cli.command import BAD_INPUT, CANCELLED, DONE, FAILED, BadInput
from kdcore.cli.parser import parser
from kdcore.files import Damaged, NoLocks
from kdcore.problems import Problem, RecipeError
from kdcore.workspace.workspace import StillRunning, UnknownRun, Workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 failed, 2 bad input, 130 cancelled."""
    chosen, workspace = parser().parse_args(arguments), Workspace()
    try:
        return chosen.command(chosen, workspace) or DONE
    except RecipeError as error:
        for problem in error.problems:
            output.complain(f"{problem.field}: {problem.message}{_remedy(problem)}")
        return BAD_INPUT
    except (BadInput, UnknownRun) as error:
        output.complain(error)
        return BAD_INPUT
    except (Damaged, NoLocks, StillRunning) as error:
        output.complain(_damage(error, workspace) if isinstance(error, Damaged) else error)
        return FAILED
    except KeyboardInterrupt:
        return CANCELLED
    except BrokenPipeError:
        sys.stderr.close()
        return DONE


def _remedy(problem: Problem) -> str:
    """What to write to have a problem put right, where that is known."""
    said = (shlex.quote(f"{path}={json.dumps(value, ensure_ascii=False)}") for path, value in problem.changes)
    return "".join(f" --set {one}" for one in said)


def _damage(error: Damaged, workspace: Workspace) -> str:
    """What is damaged, and what can be done about it, in one line."""
    from kdcore.jobs.mending import way_out

    folder = error.file.parent
    advice = f". {way_out(folder.name, error.file.name)}" if folder.parent == workspace.runs else ""
    return " ".join(f"{error}{advice}".split())
