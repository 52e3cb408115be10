"""The same function where instances are prefixes of one text and share its forward passes."""
