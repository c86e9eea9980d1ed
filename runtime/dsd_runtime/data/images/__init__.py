"""Image data sets: folders, CIFAR-10, digits."""
