"""A simulated CRUW: radar echoes and camera pictures of the same scenes, in ROD2021 layout."""
