"""Float against INT8 on data that calibration has not seen."""
