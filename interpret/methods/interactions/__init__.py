"""Methods that give pairs of units a number beside the score of each."""
