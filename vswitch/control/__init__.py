"""The switch from outside: one HTTP/JSON API on a unix socket, its server and its client."""
