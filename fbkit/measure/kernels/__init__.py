"""What each measure counts: modules that end with MEASURES."""
