"""The databases of the catalogue, behind one port. Nowhere else of the catalogue is SQL."""
