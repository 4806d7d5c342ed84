"""Control: registers start runs, the loader fills the memories, the sequencer runs a program of layer descriptors."""
