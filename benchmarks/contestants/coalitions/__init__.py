"""Who removes units: of one text, of a context, and of spans that share their passes."""
