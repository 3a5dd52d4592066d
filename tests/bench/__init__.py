"""Benchmarks: `make bench`. Side by side, in one run, because only ratios travel."""
