"""AMIs: which one a cluster needs, how it is built, and which ones can go (functions/build_image)."""
