"""Statistics: plain arrays in, numbers out."""
