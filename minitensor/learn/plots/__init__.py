"""The parts of `minitensor.learn.plot`."""
