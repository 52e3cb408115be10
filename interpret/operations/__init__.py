"""Torch operations: how calls of them are intercepted, what kinds there are, and the same computed
in simpler steps. No model and no method is known here.
"""
