"""A frozen model that travels: what a bundle holds, how it is sealed, and whether it fits another site."""
