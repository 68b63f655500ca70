"""What leaves the laboratory: ONNX files, weights files, and ONNX Runtime sessions over them."""
