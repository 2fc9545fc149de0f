"""Side: small joined tables with known content, random small worlds, and a slow reference for the join."""
