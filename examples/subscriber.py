"""Follow a daemon with rvsense's client: python subscriber.py [ENDPOINT [KEYS]]."""

import sys

import rvsense

endpoint, *keys = sys.argv[1:] or ["tcp://127.0.0.1:5561"]
for result in rvsense.subscribe(endpoint, keys=keys[0] if keys else None, silence_s=60):
    answer = result.label or f"({result.abstain})"
    print(result.site, result.stamp_ns, answer, f"{result.confidence:.2f}", flush=True)
