"""Adapters and memory banks of the methods. These modules import torch; they are imported when one is made."""
