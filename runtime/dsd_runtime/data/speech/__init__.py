"""Speech data sets: manifests, LibriSpeech, the embedded corpus."""
