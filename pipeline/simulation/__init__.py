"""The simulated cohort: source files as hospitals export them, and the truth behind them."""
