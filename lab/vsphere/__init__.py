"""The parts of lab/vcenter: SOAP, inventory, storage, power, leases, file access."""
