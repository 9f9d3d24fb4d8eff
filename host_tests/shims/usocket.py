"""umqtt 1.3.4 imports ``usocket``; the link puts its transport in its place before anything is opened."""
