"""What a person takes away: cards, sentences and the incident bundle, all made from the same small frames."""
