"""How a transformer's attention is captured, read and changed, whatever its architecture. What a
method makes of it is not known here.
"""
