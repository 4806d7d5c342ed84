"""What runs on the user's computer: a model is imported, compiled to a program, and run on a device.

network = import_model("lenet5.onnx")                onnx/importer.py
program = compile_network(network, config)           compiler/program.py
device = SimulatedDevice(config)                     simulation/device.py
results = run_program(device, program, inputs)       run.py
"""
