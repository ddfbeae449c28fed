"""What demo, tests and benchmarks need around the product: a real Azurite, the real AzCopy, realistic runs."""
