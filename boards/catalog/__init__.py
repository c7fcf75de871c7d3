"""The boards: a small file of data for each, and one for the FPGAs that they carry."""
