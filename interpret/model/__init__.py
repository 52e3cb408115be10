"""The private copy of the user's model: how it is made, its embedding layers, hooks on it, and the
cache of its outputs. Nothing here depends on targets or methods.
"""
