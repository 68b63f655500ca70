"""What several compression steps share: scores, masks, grids, fine-tuning, and the ONNX files they leave."""
