"""Layers that compression steps train. These modules import torch; they are imported when a step needs them."""
