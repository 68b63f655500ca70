"""The networks themselves. These modules import torch; they are imported when a network is made."""
