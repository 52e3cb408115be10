"""Files of inputs: lines, tables and Parquet, compressed or not, read from any place on."""
