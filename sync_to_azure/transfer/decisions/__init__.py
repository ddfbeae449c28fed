"""Pure decisions on one run: values in, a value out; no disk, no network, no clock."""
