"""What is answered at which address: the page's own addresses, and those of AllenNLP's demo."""
