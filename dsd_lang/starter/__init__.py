"""A few choices in, a commented schedule to start from out: what `dsd-new` writes."""
