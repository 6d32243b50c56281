"""The servers that are compared, each started on loopback in a directory of its own."""
