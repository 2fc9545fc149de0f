"""Side: small joined tables with known content, for tests of the layers above the join."""
