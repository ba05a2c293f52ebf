"""TFTP as firmware and loaders read it: one set of rules per client, and tftpy as the independent client."""
