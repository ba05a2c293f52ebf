"""What a machine is and what it is offered in one boot: client, firmware, offer, reasons."""
