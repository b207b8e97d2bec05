"""The laboratory: small worlds with known answers, which claims are run on."""
