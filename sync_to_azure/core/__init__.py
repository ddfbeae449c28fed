"""What every package may use: errors, the clock, shared values, names, reasons. Imports no other package."""
