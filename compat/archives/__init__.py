"""Archives: loaded by rules, with the transformer that they carry."""
