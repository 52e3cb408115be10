"""JSON in, explanations out: inputs are predicted and labelled, packed, scored by a method and put
together as explanations.
"""
