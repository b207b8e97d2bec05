"""Reading what a model wrote: fenced blocks, thinking, numbers, scores and choices. One reader for each, used everywhere."""
