"""Mixtures of experts: gates, the router, and the weights of the experts that are chosen."""
