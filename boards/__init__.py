"""Boards: the link, the top level, one file of data per board, and the driver."""
