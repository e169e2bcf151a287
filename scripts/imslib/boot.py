boot=None
