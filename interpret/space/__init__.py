"""The model as a function F of points, and its gradients. Methods choose the points."""
