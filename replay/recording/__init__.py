"""Recordings: MCAP files of what a daemon took in and answered, made, checked, replayed, exported.

A recording is a file, or a folder of segments in the order of their names. Every message is kept
to the byte as it came over the wire (`form`); what is written is written whole (`sink`), so that
a killed recorder leaves everything up to the last whole message.
"""
