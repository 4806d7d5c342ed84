"""Models in ONNX: a graph is read as a chain of nodes, then steps, then layers; and ONNX Runtime, to compare with."""
