"""Methods that look inside a transformer: its attention, and what that does."""
