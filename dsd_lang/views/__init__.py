"""A plan as text or picture: table, counts, timeline, derivations, differences, graph."""
