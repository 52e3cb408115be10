"""The number that is explained, read from a model's outputs row by row. How it is differentiated is
not known here.
"""
