"""The release of an install, pulled and verified as libostree does, without a copy of it."""
