"""What a step's loss is made of when there are teachers. These modules import torch."""
