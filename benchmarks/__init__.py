"""Benches: ratios measured side by side; `make bench`, docs/performance.md."""
