"""An example system on a chip: a RISC-V CPU, its memory, and an accelerator, reached by the CPU alone or by a DMA."""
