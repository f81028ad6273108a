"""What `minitensor train` does: real pictures, a small network, a run that can be interrupted.

models.py has the networks, data.py the pictures and their batches, run.py the run itself.
"""
