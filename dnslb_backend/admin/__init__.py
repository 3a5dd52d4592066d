"""What operators use: the API, its tokens, the metrics endpoint. Knows only core values."""
