"""The search for parameters, their errors and the draws of them: common to all kinds of measurement."""
