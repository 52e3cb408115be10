"""How far to trust an explanation: metrics over explanations, whoever made them.

They know games (what the target is when units are removed), and no method."""
