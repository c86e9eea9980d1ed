"""Speech data sets: manifests, LibriSpeech, the built-in corpus."""
