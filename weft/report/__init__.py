"""The report: results as one HTML page that opens without a network, or as part of a notebook.

From a result follows what is shown, as plain data (`bits`, `quantized`, `validated`), then its
figures (`heatmap`, `profile`, cut into rows by `strips`), then the page. `terminal` shows the
bits as text.
"""
