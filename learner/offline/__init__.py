"""The paper's protocol over a whole dataset: pre-train, probe, fine-tune, compare, report."""
