"""fbkit: why did the metric drop, the model, the labels, or both?"""

__version__ = "0.1.0"
