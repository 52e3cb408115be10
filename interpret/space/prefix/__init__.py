"""The same function where instances are beginnings of one text and share its forward passes."""
