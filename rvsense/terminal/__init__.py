"""A running daemon as a person at a terminal sees it."""
