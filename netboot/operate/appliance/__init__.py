"""What operators read of the appliance itself: its settings, its facts, and what `netboot check` finds."""
