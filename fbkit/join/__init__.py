"""L2: predictions meet their outcomes inside the label window, as known at one time, with a receipt each."""
