"""The pages of the appliance: activity, throughput, configuration and health."""
