"""What several test levels share: frames, waiting, a lab of memory ports, namespaces."""
