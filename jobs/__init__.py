"""Explains a whole data set into a folder that goes on where it was. Knows no command line and no
view."""
