"""Netlists of FPGA cells in Verilator: models of the cells, and what stands around the pins."""
