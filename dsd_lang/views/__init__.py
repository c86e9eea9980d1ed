"""A plan as text or picture: table, counts, timeline, derivations, diff, graph."""
