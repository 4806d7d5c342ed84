"""What runs on the user's computer: a model is imported, compiled to a program, and run on a device.

network = import_model("lenet5.onnx")                onnx/importer.py
device = SimulatedDevice(preset("4x32"))             simulation/device.py
"""
