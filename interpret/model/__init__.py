"""The private copy of the user's model: how it is made, where its embedding layers are, hooks on
it, and what it computed already. Neither targets nor methods are known here.
"""
