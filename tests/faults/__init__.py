"""Every file operation of everything that writes fails once, one after the other."""
