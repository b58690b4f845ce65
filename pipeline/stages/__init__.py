"""One module per stage: read files, call one typed function, write files."""
