"""How slices are cut, counted, tested and compared."""
