"""The search for parameters, their errors and posterior draws: common to all kinds of measurement."""
