"""Formats of bytes that come from others or go to them: bytes to facts and back, no I/O."""
