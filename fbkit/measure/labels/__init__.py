"""What missing labels could be, and what is known of them by when."""
