"""The model as a function F of points, and its gradients. Which points to ask for is for methods to
say.
"""
