"""Examples to run driftlake on, one package each; nothing in driftlake imports them."""
