"""Distillation schemes: one file each."""
