"""The whole core in Verilog, under Verilator or Icarus, driven through cocotb."""
