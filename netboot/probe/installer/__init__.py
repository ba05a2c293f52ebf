"""What follows the kernel of a simulated machine: Anaconda, libostree and Ignition, played against a live server."""
