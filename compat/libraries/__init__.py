"""AllenNLP on the interfaces of today's libraries."""
