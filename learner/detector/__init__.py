"""A light object detector on the camera: what a scene shows, without a person saying so."""
