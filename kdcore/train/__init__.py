"""Training: the loop, the order of the images, optimizers and checkpoints."""
