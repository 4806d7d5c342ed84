"""Layer tables: layers.csv has the 13 layers on which zero-skipping convolution was published (LeNet, AlexNet, GoogLeNet)."""
