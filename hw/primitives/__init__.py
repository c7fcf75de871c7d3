"""Multipliers and memories, one file per FPGA family behind one interface."""
