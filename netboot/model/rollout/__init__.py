"""An ordered rollout: from blank machines to a cluster."""
