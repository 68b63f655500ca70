"""Speed and results, measured side by side. Each module prints a section of docs/results.md; `--write` keeps it."""
