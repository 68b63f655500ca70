"""Executing a plan: stages, timing, and later measurements of finished models."""
