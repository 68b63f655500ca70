"""Labelled texts: made into a data set, and read from a person's own table."""
