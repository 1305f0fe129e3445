"""Every flight out of New York in 2013, a model that predicts late arrivals, and labels that arrive late themselves."""
