"""What Dagster loads: definitions, the nightly job and its schedule. Not here: assets, and anything they compute."""
