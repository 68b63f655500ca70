"""The data sets, one file each: registered functions from options to raw images."""
