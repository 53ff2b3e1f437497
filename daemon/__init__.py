"""The daemon: takes frames in, pairs them, classifies radar from radar alone, serves results."""
