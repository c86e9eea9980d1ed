"""Caption data sets: Flickr-8k, drawn scenes."""
