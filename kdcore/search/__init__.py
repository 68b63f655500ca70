"""Searching for the smallest, fastest or most accurate model that is good enough. Optuna searches; this says what."""
