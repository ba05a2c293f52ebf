"""Static files by HTTP: connections, limits, ranges, fair shares."""
