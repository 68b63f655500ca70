"""What was found, for people: tables, verdicts, files to take away. Reads the workspace; imports no torch."""
