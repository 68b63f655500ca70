"""Distillation methods, one file each: a pure loss, and a thin class that is registered by name."""
